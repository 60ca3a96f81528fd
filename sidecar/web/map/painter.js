// Draws the points: straight into pixels, so that 50,000 of them follow the pointer without a graphics card.

/** @typedef {import("./points.js").Points} Points */
/** @typedef {import("./camera.js").Camera} Camera */

/**
 * The pixels of a point: where they are, and how much of each it covers.
 * @typedef {{size: number, dx: Int32Array, dy: Int32Array, part: Float32Array}} Disc
 */

/** @type {Map<number, Disc>} */
const discs = new Map();

/** A disc of a radius in pixels, with soft edges. */
function disc(/** @type {number} */ radius) {
  const key = Math.round(radius * 4);
  let found = discs.get(key);
  if (!found) {
    const pixels = [];
    const size = Math.ceil(key / 4 + 0.5);
    for (let dy = -size; dy <= size; dy += 1) {
      for (let dx = -size; dx <= size; dx += 1) {
        const part = Math.max(0, Math.min(1, key / 4 + 0.5 - Math.hypot(dx, dy)));
        if (part > 0.04) pixels.push({ dx, dy, part });
      }
    }
    found = { size, dx: Int32Array.from(pixels, ({ dx }) => dx), dy: Int32Array.from(pixels, ({ dy }) => dy), part: Float32Array.from(pixels, ({ part }) => part) };
    discs.set(key, found);
  }
  return found;
}

/** How large a point is, in CSS pixels: larger from near, smaller when there are many. */
export function radiusOf(/** @type {Points} */ points, /** @type {Camera} */ camera) {
  const apart = (camera.scale * camera.side) / Math.sqrt(Math.max(1, points.count) * 1.6);
  return Math.max(1.15, Math.min(7, apart * 0.23));
}

/**
 * @typedef {object} Look
 * @property {Uint8Array} colors place in the palette, a point
 * @property {Uint8Array} dim 1: stands back; 2: too, a little
 * @property {[number, number, number][]} palette red, green, blue
 * @property {number} faint how much is seen of what stands back
 */

export class Painter {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    /** @type {ImageData|null} */
    this.image = null;
  }

  /**
   * @param {Points} points @param {Camera} camera @param {Look} look
   * @returns {number} how many points are in the window
   */
  draw(points, camera, look) {
    const { width, height } = this.canvas;
    const ratio = width / Math.max(1, camera.width);
    if (!this.image || this.image.width !== width || this.image.height !== height) this.image = this.context.createImageData(width, height);
    const { data } = this.image;
    const pixels = new Uint32Array(data.buffer);
    pixels.fill(0);
    const from = camera.toMap(-8, -8);
    const to = camera.toMap(camera.width + 8, camera.height + 8);
    const many = points.within(from.x, from.y, to.x, to.y);
    const shape = disc(radiusOf(points, camera) * ratio);
    const scale = camera.scale * ratio;
    const left = camera.middle.x * ratio - camera.x * scale;
    const top = camera.middle.y * ratio - camera.y * scale;
    let seen = 0;
    for (const back of [1, 2, 0]) {
      const strength = back === 1 ? look.faint : back === 2 ? look.faint * 2 : 1;
      for (let number = 0; number < many; number += 1) {
        const at = points.found[number] ?? 0;
        if ((look.dim[at] ?? 0) !== back) continue;
        const x = Math.round((points.x[at] ?? 0) * scale + left);
        const y = Math.round((points.y[at] ?? 0) * scale + top);
        if (x < -8 || y < -8 || x >= width + 8 || y >= height + 8) continue;
        seen += 1;
        this.#stamp(data, pixels, shape, x, y, look.palette[look.colors[at] ?? 0] ?? [128, 128, 128], strength);
      }
    }
    this.context.putImageData(this.image, 0, 0);
    return seen;
  }

  /**
   * @param {Uint8ClampedArray} data @param {Uint32Array} pixels the same, a pixel a number
   * @param {Disc} shape @param {number} x @param {number} y
   * @param {[number, number, number]} color @param {number} strength
   */
  #stamp(data, pixels, shape, x, y, [red, green, blue], strength) {
    const { width, height } = this.canvas;
    const { size, dx, dy, part } = shape;
    const whole = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0; // little-endian, as every browser's machine is
    const isInside = x >= size && y >= size && x < width - size && y < height - size;
    for (let number = 0; number < part.length; number += 1) {
      const px = x + (dx[number] ?? 0);
      const py = y + (dy[number] ?? 0);
      if (!isInside && (px < 0 || py < 0 || px >= width || py >= height)) continue;
      const alpha = (part[number] ?? 0) * strength;
      const at = py * width + px;
      if (alpha >= 1) pixels[at] = whole;
      else blend(data, at * 4, red, green, blue, alpha);
    }
  }
}

/** Lay a colour over a pixel. @param {Uint8ClampedArray} data @param {number} at @param {number} red @param {number} green @param {number} blue @param {number} alpha */
function blend(data, at, red, green, blue, alpha) {
  const under = (data[at + 3] ?? 0) / 255;
  const whole = alpha + under * (1 - alpha);
  const mine = alpha / whole;
  data[at] = red * mine + (data[at] ?? 0) * (1 - mine);
  data[at + 1] = green * mine + (data[at + 1] ?? 0) * (1 - mine);
  data[at + 2] = blue * mine + (data[at + 2] ?? 0) * (1 - mine);
  data[at + 3] = whole * 255;
}
