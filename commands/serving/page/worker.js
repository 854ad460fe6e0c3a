/* The network, in a thread of its own so that the page does not freeze: onnxruntime-web, one thread
   of WebAssembly. More threads, or WebGPU, would need headers that a plain server does not send, or
   another runtime of twice the size. What comes before and after the network is in pixels.js.
   Colours are taken as they stand in the file and turned by EXIF, as Python reads them. */

import * as ort from "./ort/ort.wasm.bundle.min.mjs";
import { networkInput, networkSize, resizeImage, upsampleArgmax } from "./pixels.js";

const MOST_PIXELS = 40e6;
const STRIP_PIXELS = 1 << 20;
const AS_STORED = {
  colorSpaceConversion: "none",
  premultiplyAlpha: "none",
  imageOrientation: "from-image",
};
const sessions = new Map();
let last = Promise.resolve();

self.onmessage = ({ data }) => {
  last = last.then(() => answer(data)); // one image after another
};

async function answer({ id, runtime, about, blob }) {
  try {
    const session = await sessionOf(runtime, about, text => self.postMessage({ id, text }));
    self.postMessage({ id, text: "segmenting …" });
    const found = await segment(session, about, blob);
    self.postMessage({ id, found }, [found.ids.buffer]);
  } catch (error) {
    self.postMessage({ id, error: error?.message ?? String(error) });
  }
}

/** The network, downloaded when it is first used. */
async function sessionOf(runtime, about, tell) {
  if (!sessions.has(about.file)) {
    if (!ort.env.wasm.wasmBinary) {
      const bytes = await download(runtime, "the runtime", tell);
      Object.assign(ort.env.wasm, { wasmBinary: bytes.buffer, numThreads: 1 });
      ort.env.logLevel = "error";
    }
    const network = await download(about, "the network", tell);
    tell("starting the network");
    const session = await ort.InferenceSession.create(network).catch(error => {
      throw new Error(`The network cannot be started: ${error?.message ?? error}`);
    });
    sessions.set(about.file, session);
  }
  return sessions.get(about.file);
}

/** Fetches a file of known length and tells how far it is. */
async function download({ file, bytes }, what, tell) {
  const failed = why => new Error(`${file} did not arrive: ${why}; reload the page.`);
  const url = new URL(file, import.meta.url);
  const response = await fetch(url, { cache: "no-cache" }).catch(() => null);
  if (!response?.ok) throw failed(response ? `status ${response.status}` : "no connection");
  const content = new Uint8Array(bytes);
  let got = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    if (done) break;
    if (got + value.length > bytes) throw failed(`longer than ${bytes} bytes`);
    content.set(value, got);
    got += value.length;
    tell(`loading ${what}: ${(got / 1e6).toFixed(1)} of ${(bytes / 1e6).toFixed(1)} MB`);
  }
  if (got < bytes) throw failed(`only ${got} of ${bytes} bytes`);
  return content;
}

/** Segments an image file: {width, height, ids, milliseconds}. */
async function segment(session, about, blob) {
  const start = performance.now();
  const bitmap = await createImageBitmap(blob, AS_STORED).catch(() => {
    throw new Error("This is no image that the browser can read; save it as JPEG or PNG.");
  });
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) {
    bitmap.close();
    throw new Error(
      `${width} × ${height} pixels are more than the limit of ${MOST_PIXELS / 1e6} million; ` +
        "scale the photo down first.",
    );
  }
  const size = networkSize([height, width], about.size);
  const rgb = resizeImage(rowsOf(bitmap), [height, width], size);
  bitmap.close();
  const { data, dims } = networkInput(rgb, size, about);
  const { logits } = await session.run({ image: new ort.Tensor("float32", data, dims) });
  if (!logits.data.every(Number.isFinite)) {
    throw new Error("The network gives logits that are not numbers; its weights are damaged.");
  }
  const ids = upsampleArgmax(logits.data, logits.dims, size, [height, width]);
  return { width, height, ids, milliseconds: performance.now() - start };
}

/** Gives the rows of a bitmap as RGBA bytes, on white where it is transparent. */
function rowsOf(bitmap) {
  const { width, height } = bitmap;
  const most = Math.max(1, Math.min(height, Math.floor(STRIP_PIXELS / width)));
  const canvas = new OffscreenCanvas(width, most);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  let [top, pixels] = [-most, null];
  return y => {
    if (y >= top + most) {
      top = y;
      context.fillRect(0, 0, width, most);
      context.drawImage(bitmap, 0, -top);
      pixels = context.getImageData(0, 0, width, most).data;
    }
    return pixels.subarray(4 * (y - top) * width, 4 * (y - top + 1) * width);
  };
}
