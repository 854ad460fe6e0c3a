/* The page: a photo in, its mask out, whatever runs the network.

   ./backend.js is either server.js (the network runs behind `main.py serve`) or browser.js (it runs
   in this browser). It exports
     live                        whether the frames of a webcam can be segmented one after another
     listModels()                → [{name, classes: [string], palette: [[r, g, b]]}], never empty
     segment(model, blob, tell)  → {width, height, ids: Uint8Array, milliseconds}; `model` is a name,
                                   tell(text) shows progress; throws an Error for people to read
   The photo and the mask are drawn at most SHOWN pixels large, and downloaded at their own size. */
import * as backend from "./backend.js";

const SHOWN = 4_000_000;
const DIMMED = 30; // of 255: the opacity of the other classes while one is lit
const get = id => document.getElementById(id);
const state = { models: [], chosen: new Set(), blob: null, views: [], turn: 0, lit: null, kept: null };

async function start() {
  try {
    state.models = await backend.listModels();
  } catch (error) {
    return say(error.message, true);
  }
  state.chosen.add(state.models[0].name);
  get("models").hidden = state.models.length < 2;
  for (const { name } of state.models) {
    const label = document.createElement("label"), box = document.createElement("input");
    Object.assign(box, { type: "checkbox", checked: state.chosen.has(name) });
    box.onchange = () => choose(name, box.checked);
    label.append(box, name);
    get("models").append(label);
  }
  get("webcam").hidden = !backend.live;
  say("Ready. No photo yet.");
  document.body.dataset.ready = "yes";
}

function say(text, isWrong = false) {
  get("status").textContent = text;
  get("status").classList.toggle("wrong", isWrong);
}

function choose(name, isChosen) {
  state.chosen[isChosen ? "add" : "delete"](name);
  if (state.blob) open(state.blob);
}

/* ---- a photo in */

async function open(blob) {
  const turn = ++state.turn;
  const isCurrent = () => turn === state.turn; // another photo may come while this one is under way
  stopWebcam();
  state.blob = blob;
  document.body.dataset.done = "";
  const photo = await createImageBitmap(blob).catch(() => null);
  const models = state.models.filter(model => state.chosen.has(model.name));
  if (!models.length) return say("Choose a model.");
  const views = [];
  for (const model of models) {
    const tell = text => isCurrent() && say(`${model.name}: ${text}`);
    tell("segmenting …");
    try {
      const result = await backend.segment(model.name, blob, tell);
      if (!isCurrent()) return;
      views.push(view(model, photo, result));
    } catch (error) {
      return isCurrent() && say(error.message, true);
    }
  }
  show(views);
  const first = views[0].classes[0];
  const unseen = photo ? "" : " This browser cannot show the photo itself.";
  say(`Done: ${views.length > 1 ? `${views.length} models. ` : ""}most of it is ` +
      `${first.name} (${percent(first.share)}).${unseen}`);
  document.body.dataset.done = "yes";
}

function view(model, photo, { width, height, ids, milliseconds }) {
  const counts = new Float64Array(256);
  for (const id of ids) counts[id]++;
  const classes = model.classes
    .map((name, id) => ({ name, id, color: model.palette[id], share: counts[id] / ids.length }))
    .filter(each => each.share > 0).sort((a, b) => b.share - a.share);
  const factor = Math.min(1, Math.sqrt(SHOWN / (width * height)));
  const shown = [width, height].map(side => Math.max(1, Math.round(side * factor)));
  return { model, photo, width, height, ids, milliseconds, classes, shown,
           small: shrink(ids, width, height, ...shown) };
}

function shrink(ids, width, height, toWidth, toHeight) {
  if (width === toWidth && height === toHeight) return ids;
  const small = new Uint8Array(toWidth * toHeight);
  for (let y = 0; y < toHeight; y++) {
    const row = Math.floor((y + 0.5) * height / toHeight) * width;
    for (let x = 0; x < toWidth; x++)
      small[y * toWidth + x] = ids[row + Math.floor((x + 0.5) * width / toWidth)];
  }
  return small;
}

const percent = share => `${(100 * share).toFixed(1)} %`;

/* ---- the mask out */

function show(views) {
  state.views = views;
  state.lit = state.kept = null;
  get("results").replaceChildren(...views.map(figure));
  get("controls").hidden = !views.length;
  move();
}

function figure(view) {
  const root = get("result").content.cloneNode(true).firstElementChild;
  const part = name => root.querySelector(`.${name}`);
  part("name").textContent = view.model.name;
  part("facts").textContent = facts(view);
  for (const name of ["photo", "mask"])
    [part(name).width, part(name).height] = view.shown;
  if (view.photo) part("photo").getContext("2d").drawImage(view.photo, 0, 0, ...view.shown);
  Object.assign(view, { canvas: part("mask"), divider: part("divider"), here: part("here") });
  view.canvas.setAttribute("aria-label", "The mask: " +
    view.classes.slice(0, 5).map(each => `${each.name} ${percent(each.share)}`).join(", "));
  view.entries = view.classes.map(each => entry(each));
  part("legend").append(...view.entries.map(button => {
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  part("save-mask").onclick = () => save(view, "mask");
  part("save-overlay").onclick = () => save(view, "overlay");
  point(part("stage"), view);
  paint(view);
  return root;
}

const facts = ({ width, height, milliseconds }) =>
  `${width} × ${height} pixels, ${Math.round(milliseconds)} ms`;

function entry({ name, color, share }) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.name = name;
  button.setAttribute("aria-pressed", "false");
  for (const [kind, text] of [["swatch", ""], ["class", name], ["share", percent(share)]]) {
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = text;
    if (kind === "swatch") span.style.background = `rgb(${color})`;
    button.append(span);
  }
  button.onpointerenter = event => event.pointerType === "mouse" && light(name);
  button.onpointerleave = event => event.pointerType === "mouse" && light(state.kept);
  button.onfocus = () => light(name);
  button.onblur = () => light(state.kept);
  button.onclick = () => {
    state.kept = state.kept === name ? null : name;
    light(state.kept);
  };
  return button;
}

function light(name) {
  state.lit = name;
  for (const view of state.views) {
    for (const button of view.entries) {
      button.setAttribute("aria-pressed", button.dataset.name === state.kept);
      button.classList.toggle("lit", button.dataset.name === name);
    }
    paint(view);
  }
}

function colors(view, lit = null) { // id → RGBA in one number; ids without a class are transparent
  const bytes = new Uint8ClampedArray(4 * 256);
  view.model.classes.forEach((name, id) =>
    bytes.set([...view.model.palette[id], lit === null || lit === name ? 255 : DIMMED], 4 * id));
  return new Uint32Array(bytes.buffer);
}

function painted(ids, width, height, table) {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let n = 0; n < ids.length; n++) pixels[n] = table[ids[n]];
  return image;
}

function paint(view) {
  const image = painted(view.small, ...view.shown, colors(view, state.lit));
  view.canvas.getContext("2d").putImageData(image, 0, 0);
}

function move() {
  const split = `${get("split").value}%`;
  for (const { canvas, divider } of state.views) {
    canvas.style.clipPath = `inset(0 0 0 ${split})`;
    canvas.style.opacity = get("opacity").value / 100;
    divider.style.left = split;
  }
}

function point(stage, view) { // dragging moves the slider; hovering names the class
  let isDragged = false;
  const drag = event => {
    const box = stage.getBoundingClientRect();
    get("split").value = Math.round(100 * (event.clientX - box.left) / box.width);
    move();
  };
  stage.onpointerdown = event => {
    isDragged = true;
    stage.setPointerCapture(event.pointerId);
    drag(event);
  };
  stage.onpointermove = event => {
    if (isDragged) drag(event);
    const box = stage.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (x < 0 || y < 0 || x >= 1 || y >= 1) return;
    const id = view.ids[Math.floor(y * view.height) * view.width + Math.floor(x * view.width)];
    view.here.textContent = view.model.classes[id] ?? "\u00a0";
  };
  stage.onpointerup = stage.onpointercancel = () => { isDragged = false; };
  stage.onpointerleave = () => { view.here.textContent = "\u00a0"; };
}

async function save(view, kind) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [view.width, view.height];
  const context = canvas.getContext("2d");
  context?.putImageData(painted(view.ids, view.width, view.height, colors(view)), 0, 0);
  if (kind === "overlay" && context) {
    context.globalCompositeOperation = "destination-over"; // the photo goes below the mask
    const mask = await createImageBitmap(canvas);
    context.clearRect(0, 0, view.width, view.height);
    context.globalCompositeOperation = "source-over";
    if (view.photo) context.drawImage(view.photo, 0, 0, view.width, view.height);
    context.globalAlpha = get("opacity").value / 100;
    context.drawImage(mask, 0, 0);
  }
  const blob = await new Promise(done => canvas.toBlob(done));
  if (!blob) return say("The picture is too large for this browser to save.", true);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  const stem = (state.blob?.name ?? "photo").replace(/\.[^.]*$/, "");
  link.download = `${stem}_${view.model.name.replace(/[^\w.-]+/g, "-")}_${kind}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/* ---- the webcam */

let stream = null;

async function startWebcam() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    return say(`No webcam: ${error.message}`, true);
  }
  const turn = ++state.turn, mine = stream;
  const video = document.createElement("video"), frame = document.createElement("canvas");
  Object.assign(video, { srcObject: stream, muted: true, playsInline: true });
  await video.play();
  get("webcam").textContent = "Stop the webcam";
  let before = performance.now(), rate = 0;
  while (stream === mine && turn === state.turn) {
    [frame.width, frame.height] = [video.videoWidth, video.videoHeight];
    frame.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise(done => frame.toBlob(done, "image/jpeg", 0.95));
    try {
      await showFrame(blob, mine);
    } catch (error) {
      stopWebcam();
      return say(error.message, true);
    }
    const now = performance.now();
    rate += (rate ? 0.2 : 1) * (1000 / (now - before) - rate);
    before = now;
    if (stream === mine) say(`${rate.toFixed(1)} frames a second`);
  }
}

async function showFrame(blob, mine) {
  const model = state.models.find(each => state.chosen.has(each.name)) ?? state.models[0];
  const photo = await createImageBitmap(blob);
  const result = await backend.segment(model.name, blob, () => {});
  if (stream !== mine) return;
  const kept = state.kept;
  show([view(model, photo, result)]);
  state.kept = kept;
  if (kept) light(kept);
}

function stopWebcam() {
  stream?.getTracks().forEach(track => track.stop());
  stream = null;
  get("webcam").textContent = "Start the webcam";
}

/* ---- what people do */

for (const id of ["file", "camera"])
  get(id).onchange = event => {
    if (event.target.files[0]) open(event.target.files[0]);
    event.target.value = ""; // so that the same file can be chosen again
  };
for (const id of ["split", "opacity"]) get(id).oninput = move;
get("webcam").onclick = () => stream ? stopWebcam() : startWebcam();
const firstFile = list => [...(list?.files ?? [])][0];
document.addEventListener("dragover", event => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", event => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", event => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  const file = firstFile(event.dataTransfer);
  file ? open(file) : say("That is no file; drop an image file.", true);
});
document.addEventListener("paste", event => {
  const file = firstFile(event.clipboardData);
  if (file) open(file);
});
start();
