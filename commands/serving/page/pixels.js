/* What deploy.py does to a photo before and after the network, in the same arithmetic: OpenCV's
   INTER_AREA and INTER_LINEAR (modules/imgproc/src/resize.cpp), normalisation, padding, the logits
   enlarged and the best class of each pixel. `Math.fround` rounds where OpenCV and numpy compute in
   float32. A size is [height, width]; `row(y)` gives the RGBA bytes of a row, the upper rows first. */

const ONE = 2048; // OpenCV's weights for bytes are whole numbers out of this
const EPSILON = 2.220446049250313e-16;

/** Rounds halves to the even number, as Python and OpenCV do. */
export function roundEven(value) {
  const below = Math.floor(value);
  const part = value - below;
  return part > 0.5 || (part === 0.5 && below % 2) ? below + 1 : below;
}

/** The size in which the network sees a photo: its aspect, the area of training. */
export function networkSize(photo, training) {
  const scale = Math.sqrt((training[0] * training[1]) / (photo[0] * photo[1]));
  const longest = 4 * Math.max(...training);
  return photo.map(side => Math.min(Math.max(1, roundEven(side * scale)), longest));
}

/** Resizes an image as utils.resize_image does; returns its RGB bytes. */
export function resizeImage(row, from, to) {
  if (from[0] === to[0] && from[1] === to[1]) return copied(row, from);
  const scales = [0, 1].map(axis => 1 / (to[axis] / from[axis]));
  if (Math.min(...scales) >= 1) return resizeArea(row, from, to, scales);
  const isArea = to[0] < from[0] || to[1] < from[1]; // one side shrinks, the other grows
  return resizeLinear(row, from, to, isArea);
}

function copied(row, [height, width]) {
  const rgb = new Uint8ClampedArray(height * width * 3);
  for (let y = 0, into = 0; y < height; y++) {
    const line = row(y);
    for (let at = 0; at < 4 * width; at += 4, into += 3) {
      rgb[into] = line[at];
      rgb[into + 1] = line[at + 1];
      rgb[into + 2] = line[at + 2];
    }
  }
  return rgb;
}

/** Averages areas: each new pixel is the mean of what it covers, borders by their share. */
function resizeArea(row, from, to, scales) {
  const isWhole = scales.every(scale => Math.abs(scale - Math.round(scale)) < EPSILON);
  const [down, across] = [0, 1].map(axis => areaShares(from[axis], to[axis], isWhole));
  const width = 3 * to[1];
  const rgb = new Uint8ClampedArray(width * to[0]);
  const line = new Float32Array(width);
  const sum = new Float32Array(width);
  const area = Math.round(scales[0]) * Math.round(scales[1]);
  const factor = isWhole ? Math.fround(1 / area) : 1;
  const isHalved = isWhole && scales.every(scale => Math.round(scale) === 2);
  for (let k = 0, read = -1; k < down.at.length; k++) {
    if (down.at[k] !== read) averageRow(row((read = down.at[k])), across, line);
    const share = down.share[k];
    for (let x = 0; x < width; x++) sum[x] += Math.fround(share * line[x]);
    if (down.into[k] === down.into[k + 1]) continue;
    const start = width * down.into[k];
    for (let x = 0; x < width; x++) {
      const mean = Math.fround(sum[x] * factor);
      rgb[start + x] = isHalved ? Math.floor(mean + 0.5) : roundEven(mean);
    }
    sum.fill(0);
  }
  return rgb;
}

function averageRow(line, across, sums) {
  const { at, into, share } = across;
  sums.fill(0);
  for (let k = 0; k < at.length; k++) {
    const source = 4 * at[k];
    const target = 3 * into[k];
    const part = share[k];
    sums[target] += Math.fround(part * line[source]);
    sums[target + 1] += Math.fround(part * line[source + 1]);
    sums[target + 2] += Math.fround(part * line[source + 2]);
  }
}

/** Along one side: pixel `at` gives `share` of itself to the new pixel `into`. */
function areaShares(from, to, isWhole) {
  const scale = 1 / (to / from);
  const at = [], into = [], shares = [];
  const add = (pixel, target, share) => {
    at.push(pixel);
    into.push(target);
    shares.push(isWhole ? 1 : share);
  };
  for (let target = 0; target < to; target++) {
    const start = target * scale;
    const end = start + scale;
    const cell = Math.min(scale, from - start);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(start), last);
    if (first - start > 1e-3) add(first - 1, target, (first - start) / cell);
    for (let pixel = first; pixel < last; pixel++) add(pixel, target, 1 / cell);
    if (end - last > 1e-3) add(last, target, Math.min(end - last, 1, cell) / cell);
  }
  return { at: Int32Array.from(at), into: Int32Array.from(into), share: Float32Array.from(shares) };
}

/** Interpolates between pixels; with `isArea` at the places where INTER_AREA does so. */
function resizeLinear(row, from, to, isArea) {
  const down = places(from[0], to[0], isArea);
  const across = placesAcross(from[1], to[1], isArea);
  const width = 3 * to[1];
  const rgb = new Uint8ClampedArray(width * to[0]);
  let [upper, lower] = [new Int32Array(width), new Int32Array(width)];
  let [above, below] = [-1, -1]; // the rows that these hold
  for (let y = 0; y < to[0]; y++) {
    const first = Math.min(Math.max(down.at[y], 0), from[0] - 1);
    const second = Math.min(Math.max(down.at[y] + 1, 0), from[0] - 1);
    if (first !== above) {
      [upper, lower, above, below] = [lower, upper, below, above];
      if (first !== above) interpolateRow(row((above = first)), across, from[1], upper);
    }
    if (second !== below) interpolateRow(row((below = second)), across, from[1], lower);
    const share = roundEven(Math.fround(down.share[y] * ONE));
    const rest = roundEven(Math.fround(Math.fround(1 - down.share[y]) * ONE));
    for (let x = 0; x < width; x++) {
      const mixed = ((rest * (upper[x] >> 4)) >> 16) + ((share * (lower[x] >> 4)) >> 16);
      rgb[width * y + x] = (mixed + 2) >> 2;
    }
  }
  return rgb;
}

function interpolateRow(line, { at, share }, from, into) {
  for (let x = 0; x < at.length; x++) {
    const part = roundEven(Math.fround(share[x] * ONE));
    const rest = roundEven(Math.fround(Math.fround(1 - share[x]) * ONE));
    const left = 4 * at[x];
    const right = 4 * Math.min(at[x] + 1, from - 1);
    for (let channel = 0; channel < 3; channel++) {
      into[3 * x + channel] = line[left + channel] * rest + line[right + channel] * part;
    }
  }
}

/** Along one side: a new pixel lies between `at` and `at + 1`, with `share` of the latter. */
function places(from, to, isArea = false) {
  const at = new Int32Array(to);
  const share = new Float32Array(to);
  const scale = 1 / (to / from);
  for (let target = 0; target < to; target++) {
    let place = Math.fround((target + 0.5) * scale - 0.5);
    at[target] = Math.floor(place);
    share[target] = place - at[target];
    if (!isArea) continue;
    at[target] = Math.floor(target * scale);
    place = Math.fround(target + 1 - (at[target] + 1) * (to / from));
    share[target] = place <= 0 ? 0 : place - Math.floor(place);
  }
  return { at, share };
}

/** The same across a row: at its ends a new pixel takes the old one alone. */
function placesAcross(from, to, isArea) {
  const { at, share } = places(from, to, isArea);
  for (let target = 0; target < to; target++) {
    if (at[target] >= 0 && at[target] < from - 1) continue;
    at[target] = Math.min(Math.max(at[target], 0), from - 1);
    share[target] = 0;
  }
  return { at, share };
}

/** Normalises RGB bytes and pads them below and right: data of (1, 3, H', W') and these numbers. */
export function networkInput(rgb, [height, width], about) {
  const [high, wide] = [height, width].map(side => Math.ceil(side / about.stride) * about.stride);
  const data = new Float32Array(3 * high * wide);
  for (let channel = 0, into = 0; channel < 3; channel++) {
    const [mean, std] = [about.mean[channel], about.std[channel]].map(Math.fround);
    const values = Float32Array.from({ length: 256 }, (_, byte) =>
      Math.fround(Math.fround(Math.fround(byte / 255) - mean) / std),
    );
    for (let y = 0; y < high; y++) {
      const start = Math.min(y, height - 1) * width;
      for (let x = 0; x < wide; x++) {
        data[into++] = values[rgb[3 * (start + Math.min(x, width - 1)) + channel]];
      }
    }
  }
  return { data, dims: [1, 3, high, wide] };
}

/**
 * Enlarges logits to the photo's size and takes the best class, row by row, so that memory stays
 * bounded. `data` holds (1, K, H', W') numbers, of which `inner` pixels are no padding.
 */
export function upsampleArgmax(data, [, classes, high, wide], inner, size) {
  const [rows, columns] = inner;
  const [height, width] = size;
  const across = placesAcross(columns, width);
  const ids = new Uint8Array(height * width);
  const narrow = Array.from({ length: classes }, () => new Float32Array(columns + 1));
  for (let y = 0; y < height; y++) {
    const place = Math.min(Math.max((y + 0.5) * (rows / height) - 0.5, 0), rows - 1);
    const above = Math.floor(place);
    const below = Math.min(above + 1, rows - 1);
    const share = Math.fround(place - above);
    for (let k = 0; k < classes; k++) {
      const [upper, lower] = [(k * high + above) * wide, (k * high + below) * wide];
      for (let x = 0; x < columns; x++) {
        const step = Math.fround(Math.fround(data[lower + x] - data[upper + x]) * share);
        narrow[k][x] = data[upper + x] + step;
      }
      narrow[k][columns] = narrow[k][columns - 1];
    }
    takeBest(narrow, across, ids.subarray(y * width, (y + 1) * width));
  }
  return ids;
}

/** The best class of each pixel of a row; between two columns, only of those that can be it. */
function takeBest(narrow, { at, share }, line) {
  const possible = [];
  for (let start = 0, end; start < line.length; start = end) {
    const cell = at[start];
    for (end = start + 1; at[end] === cell; ) end++;
    possibleClasses(narrow, cell, possible);
    if (possible.length === 1) {
      line.fill(possible[0], start, end);
      continue;
    }
    for (let x = start; x < end; x++) {
      const [part, rest] = [share[x], Math.fround(1 - share[x])];
      let best = -Infinity;
      for (let n = 0; n < possible.length; n++) {
        const row = narrow[possible[n]];
        const left = Math.fround(row[cell] * rest);
        const value = Math.fround(left + Math.fround(row[cell + 1] * part));
        if (value <= best) continue;
        best = value;
        line[x] = possible[n];
      }
    }
  }
}

/** The classes that reach, at one of a cell's two ends, what another one has at both. */
function possibleClasses(narrow, cell, possible) {
  let least = -Infinity;
  for (let k = 0; k < narrow.length; k++) {
    least = Math.max(least, Math.min(narrow[k][cell], narrow[k][cell + 1]));
  }
  possible.length = 0;
  for (let k = 0; k < narrow.length; k++) {
    if (narrow[k][cell] >= least || narrow[k][cell + 1] >= least) possible.push(k);
  }
}
