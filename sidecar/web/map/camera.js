// Which part of the map the window shows: moving, zooming at a place, gliding there.
import { Emitter } from "../dom.js";

const NEAREST = 500;
const FARTHEST = 0.7;
const GLIDE = 180;
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

/** Emits "move". Coordinates of the map go from 0 to `side`; those of the window are CSS pixels. */
export class Camera extends Emitter {
  constructor() {
    super();
    this.width = 1;
    this.height = 1;
    this.side = 65_535;
    /** The middle of the window, on the map. */
    this.x = this.side / 2;
    this.y = this.side / 2;
    /** How much larger than all of it at once. */
    this.zoom = 1;
    /** Left free by what lies over the map at the right. */
    this.inset = 0;
    this.glide = 0;
  }

  /** Pixels a unit of the map. */
  get scale() {
    return (this.zoom * Math.max(80, Math.min(this.width - this.inset, this.height) - 24)) / this.side;
  }

  get middle() {
    return { x: (this.width - this.inset) / 2, y: this.height / 2 };
  }

  toWindow(/** @type {number} */ x, /** @type {number} */ y) {
    const { scale, middle } = this;
    return { x: (x - this.x) * scale + middle.x, y: (y - this.y) * scale + middle.y };
  }

  toMap(/** @type {number} */ x, /** @type {number} */ y) {
    const { scale, middle } = this;
    return { x: (x - middle.x) / scale + this.x, y: (y - middle.y) / scale + this.y };
  }

  resize(/** @type {number} */ width, /** @type {number} */ height, /** @type {number} */ inset) {
    [this.width, this.height, this.inset] = [width, height, inset];
    this.emit("move");
  }

  #put(/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ zoom) {
    this.zoom = Math.max(FARTHEST, Math.min(NEAREST, zoom));
    this.x = Math.max(0, Math.min(this.side, x));
    this.y = Math.max(0, Math.min(this.side, y));
    this.emit("move");
  }

  pan(/** @type {number} */ dx, /** @type {number} */ dy) {
    cancelAnimationFrame(this.glide);
    this.#put(this.x - dx / this.scale, this.y - dy / this.scale, this.zoom);
  }

  /** Zoom so that what lies under a place of the window stays there. */
  zoomAt(/** @type {number} */ factor, /** @type {number} */ x, /** @type {number} */ y) {
    cancelAnimationFrame(this.glide);
    const before = this.toMap(x, y);
    this.zoom = Math.max(FARTHEST, Math.min(NEAREST, this.zoom * factor));
    const after = this.toMap(x, y);
    this.#put(this.x + before.x - after.x, this.y + before.y - after.y, this.zoom);
  }

  /** Go there in a moment. */
  glideTo(/** @type {{x?: number, y?: number, zoom?: number}} */ { x = this.x, y = this.y, zoom = this.zoom }) {
    cancelAnimationFrame(this.glide);
    if (calm.matches) return this.#put(x, y, zoom);
    const from = { x: this.x, y: this.y, zoom: this.zoom };
    const begin = performance.now();
    const step = (/** @type {number} */ now) => {
      const part = Math.min(1, Math.max(0, now - begin) / GLIDE);
      const eased = 1 - (1 - part) ** 3;
      this.#put(from.x + (x - from.x) * eased, from.y + (y - from.y) * eased, from.zoom * (zoom / from.zoom) ** eased);
      if (part < 1) this.glide = requestAnimationFrame(step);
    };
    this.glide = requestAnimationFrame(step);
    return undefined;
  }

  /** Nearer or farther, around the middle. */
  step(/** @type {number} */ factor) {
    this.glideTo({ zoom: Math.max(FARTHEST, Math.min(NEAREST, this.zoom * factor)) });
  }

  /** By a part of the window. */
  shift(/** @type {number} */ x, /** @type {number} */ y) {
    this.glideTo({ x: this.x + (x * this.width) / this.scale, y: this.y + (y * this.height) / this.scale });
  }

  /** All of it. */
  fit() {
    this.glideTo({ x: this.side / 2, y: this.side / 2, zoom: 1 });
  }
}
