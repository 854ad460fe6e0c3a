/* backend.js of a static page: the visitor's own browser segments. Which networks there are stands
   in model.json, since the browser's runtime does not hand out what a model.onnx says of itself. */

export const live = true;

let index = null;
let worker = null;
let count = 0;
const waiting = new Map();

async function readIndex() {
  const url = new URL("model.json", import.meta.url);
  const response = await fetch(url, { cache: "no-cache" }).catch(() => null);
  const found = response?.ok && (await response.json().catch(() => null));
  if (!found) throw new Error("model.json did not arrive; reload the page.");
  return found;
}

export async function listModels() {
  index ??= readIndex();
  return (await index).models;
}

export async function segment(model, blob, tell) {
  const about = (await listModels()).find(({ name }) => name === model);
  if (!about) throw new Error(`There is no network ${model}.`);
  const { runtime } = await index;
  worker ??= started();
  const id = ++count;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject, tell });
    worker.postMessage({ id, runtime, about, blob });
  });
}

function started() {
  const thread = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  thread.onmessage = ({ data: { id, text, found, error } }) => {
    const { resolve, reject, tell } = waiting.get(id);
    if (text) return tell(text);
    waiting.delete(id);
    if (found) resolve(found);
    else reject(new Error(error));
  };
  thread.onerror = event => {
    event.preventDefault();
    worker = null; // the next image begins with a new one
    const reason = event.message || "a file of the page is missing";
    const error = new Error(`The segmentation stopped: ${reason}.`);
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    thread.terminate();
  };
  return thread;
}
