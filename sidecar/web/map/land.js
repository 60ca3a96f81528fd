// The ground under the points: the denser they lie, the higher it is, in a few steps as on a map of heights.

/** @typedef {import("./points.js").Points} Points */

const SIZE = 384;
const STEPS = [0.05, 0.3, 0.75];
const BLUR = 7;

/**
 * A picture of the ground, as large as the whole map.
 * @param {Points} points
 * @param {[number, number, number]} color
 * @param {number} strength of each step
 */
export function drawLand(points, color, strength) {
  let heights = new Float32Array(SIZE * SIZE);
  const cell = (SIZE - 1) / points.side;
  for (let at = 0; at < points.count; at += 1) {
    const place = Math.round((points.y[at] ?? 0) * cell) * SIZE + Math.round((points.x[at] ?? 0) * cell);
    heights[place] = (heights[place] ?? 0) + 1;
  }
  for (let round = 0; round < 3; round += 1) heights = smooth(smooth(heights, 1, SIZE), SIZE, 1);
  const typical = points.count / (0.55 * SIZE * SIZE);
  const canvas = new OffscreenCanvas(SIZE, SIZE);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(SIZE, SIZE);
  for (let place = 0; place < heights.length; place += 1) {
    const height = (heights[place] ?? 0) / typical;
    let alpha = 0;
    for (const step of STEPS) alpha += Math.max(0, Math.min(1, (height / (step * 3.2) - 0.8) * 2.5));
    image.data.set([...color, alpha * strength * 255], place * 4);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Means over some neighbours along rows or columns. */
function smooth(/** @type {Float32Array} */ heights, /** @type {number} */ step, /** @type {number} */ line) {
  const found = new Float32Array(heights.length);
  for (let row = 0; row < SIZE; row += 1) {
    let sum = 0;
    for (let at = -BLUR; at < SIZE; at += 1) {
      if (at + BLUR < SIZE) sum += heights[row * line + (at + BLUR) * step] ?? 0;
      if (at - BLUR - 1 >= 0) sum -= heights[row * line + (at - BLUR - 1) * step] ?? 0;
      if (at >= 0) found[row * line + at * step] = sum / (2 * BLUR + 1);
    }
  }
  return found;
}
