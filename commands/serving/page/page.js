/* The page: a photo in, its mask out, whatever runs the network.

   ./backend.js is either server.js (the network runs behind `main.py serve`) or browser.js (it runs
   in this browser). It exports
     live                        whether the frames of a webcam can be segmented one after another
     listModels()                → [{name, classes: [string], palette: [[r, g, b]]}], never empty
     segment(model, blob, tell)  → {width, height, ids: Uint8Array, milliseconds}; `model` is a name,
                                   tell(text) shows progress; throws an Error for people to read
   Photo and mask are drawn at most SHOWN pixels large, and downloaded at the photo's own size. */
import * as backend from "./backend.js";

const SHOWN = 4_000_000;
const DIMMED = 30; // of 255: the opacity of the other classes while one is lit
const get = id => document.getElementById(id);
const state = {
  models: [], chosen: new Set(), // names
  photo: null, // {blob, picture}; no picture of a photo that this browser cannot show
  views: new Map(), // name of a model → what is shown of it
  turn: 0, // counts photos and webcams: what has been overtaken shows nothing any more
  lit: null, kept: null, // the class that stands out, and the one that was clicked
  stream: null, // of the webcam
};

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
    box.onchange = () => {
      state.chosen[box.checked ? "add" : "delete"](name);
      if (state.photo) segmentAll();
    };
    label.append(box, name);
    get("models").append(label);
  }
  get("webcam").hidden = !backend.live || !navigator.mediaDevices;
  say("Ready.");
  document.body.dataset.ready = "yes";
}

function say(text, isWrong = false) {
  get("status").textContent = text;
  get("status").classList.toggle("wrong", isWrong);
}

/* ---- a photo in */

async function open(blob) {
  stopWebcam();
  const turn = ++state.turn;
  const picture = await createImageBitmap(blob).catch(() => null);
  if (turn !== state.turn) return;
  state.photo = { blob, picture };
  state.views.clear();
  await segmentAll();
}

async function segmentAll() { // with every model that is chosen and has not done this photo yet
  const turn = ++state.turn, { blob, picture } = state.photo;
  document.body.dataset.done = "";
  for (const model of state.models.filter(each => state.chosen.has(each.name))) {
    if (state.views.has(model.name)) continue;
    const tell = text => turn === state.turn && say(`${model.name}: ${text}`);
    tell("segmenting …");
    try {
      const result = await backend.segment(model.name, blob, tell);
      if (turn !== state.turn) return;
      const view = newView(model);
      fill(view, picture, result);
      state.views.set(model.name, view);
    } catch (error) {
      if (turn !== state.turn) return;
      show(chosenViews()); // what the other models have done
      return say(error.message, true);
    }
  }
  const views = chosenViews();
  show(views);
  say(views.length ? summary(views) : "No model is chosen.");
  document.body.dataset.done = "yes";
}

function chosenViews() {
  return state.models.map(each => state.views.get(each.name))
    .filter(view => view && state.chosen.has(view.model.name));
}

function summary(views) {
  const largest = views.map(({ model, classes }) =>
    `${classes[0].name} (${percent(classes[0])})${views.length > 1 ? ` by ${model.name}` : ""}`);
  const unseen = views[0].picture ? "" : " This browser cannot show the photo itself.";
  return `Done. The largest class is ${largest.join(", ")}.${unseen}`;
}

const percent = ({ share }) =>
  share < 0.001 ? "< 0.1\u00a0%" : `${(100 * share).toFixed(1)}\u00a0%`;

/* ---- the mask out */

function show(views) {
  get("results").replaceChildren(...views.map(view => view.root));
  get("empty").hidden = views.length > 0;
  get("controls").hidden = !views.length;
  state.kept = null;
  light(null);
}

function newView(model) {
  const root = get("result").content.cloneNode(true).firstElementChild;
  const part = name => root.querySelector(`.${name}`);
  const view = { model, root, part, entries: new Map() };
  part("name").textContent = model.name;
  part("save-mask").onclick = () => save(view, false);
  part("save-overlay").onclick = () => save(view, true);
  followPointer(part("stage"), view);
  return view;
}

function fill(view, picture, { width, height, ids, milliseconds }, more = "") {
  const counts = new Float64Array(256);
  for (const id of ids) counts[id]++;
  const classes = view.model.classes
    .map((name, id) => ({ name, color: view.model.palette[id], share: counts[id] / ids.length }))
    .filter(each => each.share > 0).sort((a, b) => b.share - a.share);
  const factor = Math.min(1, Math.sqrt(SHOWN / (width * height)));
  const shown = [width, height].map(side => Math.max(1, Math.round(side * factor)));
  const isUpright = picture?.width === width && picture?.height === height;
  const { part } = view;
  Object.assign(view, { width, height, ids, classes, shown, picture: isUpright ? picture : null,
                        small: shrink(ids, width, height, ...shown) });
  part("facts").textContent = `${width} × ${height} pixels, ${Math.round(milliseconds)} ms${more}`;
  part("stage").style.setProperty("--aspect", width / height);
  for (const name of ["photo", "mask"]) [part(name).width, part(name).height] = shown;
  if (isUpright) part("photo").getContext("2d").drawImage(picture, 0, 0, ...shown);
  part("mask").setAttribute("aria-label", "Its mask: " +
    classes.slice(0, 5).map(each => `${each.name} ${percent(each)}`).join(", "));
  fillLegend(view);
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

function fillLegend(view) { // entries stay where they are from frame to frame, with their focus
  for (const entry of view.entries.values()) entry.hidden = true;
  for (const each of view.classes) {
    if (!view.entries.has(each.name)) {
      view.entries.set(each.name, newEntry(each));
      view.part("legend").append(view.entries.get(each.name));
    }
    const entry = view.entries.get(each.name);
    entry.hidden = false;
    entry.querySelector(".share").textContent = percent(each);
  }
}

function newEntry({ name, color }) {
  const entry = get("entry").content.cloneNode(true).firstElementChild;
  const button = entry.firstElementChild;
  button.dataset.name = name;
  button.querySelector(".class").textContent = name;
  button.querySelector(".swatch").style.background = `rgb(${color})`;
  button.onpointerenter = event => event.pointerType === "mouse" && light(name);
  button.onpointerleave = event => event.pointerType === "mouse" && light(state.kept);
  button.onfocus = () => light(name);
  button.onblur = () => light(state.kept);
  button.onclick = () => {
    state.kept = state.kept === name ? null : name;
    light(state.kept);
  };
  return entry;
}

function light(name) {
  state.lit = name;
  for (const view of state.views.values()) {
    for (const button of view.root.querySelectorAll(".legend button")) {
      button.setAttribute("aria-pressed", button.dataset.name === state.kept);
      button.classList.toggle("lit", button.dataset.name === name);
    }
    const image = painted(view.small, ...view.shown, colors(view.model, name));
    view.part("mask").getContext("2d").putImageData(image, 0, 0);
  }
  move();
}

function colors(model, lit = null) { // id → RGBA in one number; ids without a class are transparent
  const bytes = new Uint8ClampedArray(4 * 256);
  model.classes.forEach((name, id) =>
    bytes.set([...model.palette[id], lit === null || lit === name ? 255 : DIMMED], 4 * id));
  return new Uint32Array(bytes.buffer);
}

function painted(ids, width, height, table) {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let n = 0; n < ids.length; n++) pixels[n] = table[ids[n]];
  return image;
}

function move() { // a class that is lit shows on the photo's side too
  const split = get("split").value;
  get("split").setAttribute("aria-valuetext", `photo up to ${split} % from the left, then the mask`);
  for (const { part } of state.views.values()) {
    part("mask").style.clipPath = state.lit === null ? `inset(0 0 0 ${split}%)` : "none";
    part("mask").style.opacity = get("opacity").value / 100;
    part("divider").style.left = `${split}%`;
    part("divider").hidden = state.lit !== null;
  }
}

function slide() {
  state.kept = null;
  light(null);
}

function followPointer(stage, view) { // dragging moves the slider; hovering names the class
  let isDragged = false;
  const place = event => {
    const box = stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const drag = event => {
    get("split").value = Math.round(100 * place(event)[0]);
    slide();
  };
  stage.onpointerdown = event => {
    isDragged = true;
    stage.setPointerCapture(event.pointerId);
    drag(event);
  };
  stage.onpointermove = event => {
    if (isDragged) drag(event);
    const [x, y] = place(event);
    if (Math.min(x, y) < 0 || Math.max(x, y) >= 1) return;
    const id = view.ids[Math.floor(y * view.height) * view.width + Math.floor(x * view.width)];
    view.part("here").textContent = view.model.classes[id] ?? "";
  };
  stage.onpointerup = stage.onpointercancel = () => { isDragged = false; };
  stage.onpointerleave = () => { view.part("here").textContent = ""; };
}

async function save(view, hasPhoto) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [view.width, view.height];
  const context = canvas.getContext("2d");
  const image = painted(view.ids, view.width, view.height, colors(view.model));
  if (hasPhoto) {
    if (view.picture) context?.drawImage(view.picture, 0, 0);
    if (context) context.globalAlpha = get("opacity").value / 100;
    context?.drawImage(await createImageBitmap(image), 0, 0);
  } else context?.putImageData(image, 0, 0);
  const blob = await new Promise(done => canvas.toBlob(done));
  if (!blob) return say("The picture is too large for this browser to save.", true);
  const link = document.createElement("a");
  const stem = (state.photo?.blob.name ?? "photo").replace(/\.[^.]*$/, "");
  link.href = URL.createObjectURL(blob);
  link.download = `${stem}_${view.model.name}_${hasPhoto ? "overlay" : "mask"}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/* ---- the webcam */

async function startWebcam() {
  const turn = ++state.turn;
  let stream = null;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    return say(`No webcam: ${error.message}`, true);
  }
  if (turn !== state.turn) return end(stream); // a photo came while the browser asked
  state.stream = stream;
  stream.getVideoTracks()[0].onended = () => {
    if (state.stream === stream) stopWebcam("The webcam is gone.");
  };
  get("webcam").textContent = "Stop the webcam";
  state.photo = null;
  state.views.clear();
  show([]);
  const isOn = () => turn === state.turn && state.stream === stream;
  const video = document.createElement("video");
  Object.assign(video, { srcObject: stream, muted: true, playsInline: true });
  try {
    await video.play();
    await showFrames(video, isOn);
  } catch (error) {
    if (!isOn()) return;
    stopWebcam();
    say(error.message, true);
  }
}

async function showFrames(video, isOn) {
  const model = state.models.find(each => state.chosen.has(each.name)) ?? state.models[0];
  const view = newView(model), frame = document.createElement("canvas");
  const tell = text => isOn() && !state.views.size && say(`${model.name}: ${text}`);
  let before = null, rate = null;
  while (isOn()) {
    await new Promise(requestAnimationFrame); // which waits while the page is hidden
    [frame.width, frame.height] = [video.videoWidth, video.videoHeight];
    frame.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise(done => frame.toBlob(done, "image/jpeg", 0.95));
    const result = await backend.segment(model.name, blob, tell);
    const picture = await createImageBitmap(blob);
    if (!isOn()) return;
    const now = performance.now();
    const latest = before && 1000 / (now - before);
    rate = rate ? 0.8 * rate + 0.2 * latest : latest;
    before = now;
    const shown = rate ? `, ${rate.toFixed(1)} frames a second` : "";
    view.picture?.close();
    fill(view, picture, result, shown);
    if (state.views.size) {
      light(state.lit);
      continue;
    }
    state.views.set(model.name, view);
    show([view]);
    say("The webcam is on.");
  }
}

function stopWebcam(text = "") { // its last frame stays
  if (!state.stream) return;
  end(state.stream);
  state.stream = null;
  get("webcam").textContent = "Start the webcam";
  if (text) say(text);
}

function end(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/* ---- what people do */

for (const id of ["file", "camera"])
  get(id).onchange = event => {
    if (event.target.files[0]) open(event.target.files[0]);
    event.target.value = ""; // so that the same file can be chosen again
  };
get("split").oninput = slide;
get("opacity").oninput = move;
get("webcam").onclick = () => state.stream ? stopWebcam("The webcam is off.") : startWebcam();
const take = data => {
  if (data?.files.length) open(data.files[0]);
  return Boolean(data?.files.length);
};
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
  if (!take(event.dataTransfer)) say("That is no file; drop an image file.", true);
});
document.addEventListener("paste", event => {
  if (!take(event.clipboardData)) say("There is no image in the clipboard.", true);
});
start();
