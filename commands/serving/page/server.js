/* The page's backend where `main.py serve` runs the network: served as backend.js. */
export const live = false;
const PATIENCE = 120; // seconds of waiting for a busy server

let mostBytes = Infinity;

export async function listModels() {
  const { models, most_bytes } = await (await ask("model.json")).json();
  mostBytes = most_bytes;
  return models;
}

export async function segment(model, blob, tell) {
  if (blob.size > mostBytes) // the server would cut the connection
    throw new Error(`The photo has more than ${mostBytes / 1e6} MB; take a smaller one.`);
  const address = `segment?as=raw&model=${encodeURIComponent(model)}`;
  const begun = performance.now();
  for (;;) {
    const response = await ask(address, { method: "POST", body: blob });
    if (response.status !== 503) {
      const [width, height] = response.headers.get("X-Size").split("x").map(Number);
      const milliseconds = Number(response.headers.get("X-Milliseconds"));
      return { width, height, ids: new Uint8Array(await response.arrayBuffer()), milliseconds };
    }
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    if (performance.now() - begun > 1000 * PATIENCE)
      throw new Error("The server is busy; try again later.");
    tell(`the server is busy, trying again in ${seconds} s …`);
    await new Promise(done => setTimeout(done, 1000 * seconds));
  }
}

async function ask(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Error("The server does not answer; is it still running?");
  }
  if (response.ok || response.status === 503) return response;
  const { error } = await response.json().catch(() => ({}));
  throw new Error(error ?? `The server answers with ${response.status}.`);
}
