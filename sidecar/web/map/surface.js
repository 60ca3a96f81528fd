// The map's layers and what is drawn on each: ground and points, names and marks.
import { h } from "../dom.js";
import { drawLand } from "./land.js";
import { drawLine } from "./lasso.js";
import { drawNames } from "./names.js";
import { Near } from "./near.js";
import { Painter, radiusOf } from "./painter.js";

/** @typedef {import("./points.js").Points} Points */
/** @typedef {import("./camera.js").Camera} Camera */
/** @typedef {import("./painter.js").Look} Look */

/**
 * @typedef {object} Scene
 * @property {Points|null} points
 * @property {Look} look
 * @property {Set<number>} picked ids
 * @property {number} pointed place of the point that is pointed at, or -1
 * @property {{x: number, y: number}[]} line
 */

/** Selected points have a ring once they are so large; before, the others stand back. */
const RINGED = 2.6;

export class Surface {
  /** @param {Camera} camera @param {Scene} scene */
  constructor(camera, scene) {
    this.camera = camera;
    this.scene = scene;
    this.ground = h("canvas", { "aria-hidden": "true" });
    this.dots = h("canvas", { "aria-hidden": "true" });
    this.marks = h("canvas", { "aria-hidden": "true" });
    this.element = h("div", { class: "map-surface", role: "application", tabIndex: 0 }, this.ground, this.dots, this.marks);
    this.painter = new Painter(this.dots);
    this.near = new Near(() => this.ask());
    /** @type {OffscreenCanvas|null} */
    this.land = null;
    this.frame = 0;
    this.due = true;
    this.seen = 0;
    this.colors = { text: "", halo: "", accent: "", font: "" };
    this.restyle();
  }

  /** Take the colours of the page, which may have become dark. */
  restyle() {
    const style = getComputedStyle(document.documentElement);
    const of = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    this.colors = { text: of("--text"), halo: of("--bg"), accent: of("--accent"), font: of("--sans") };
    this.land = null;
    this.ask();
  }

  /** There are other points. */
  reset() {
    this.land = null;
    this.ask();
  }

  /** Draw all of it with the next frame; without `dots` only what lies over the points. */
  ask(dots = true) {
    this.due ||= dots;
    if (!this.frame) this.frame = requestAnimationFrame(() => this.#draw());
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.frame = -1; // nothing is drawn any more
  }

  resize(/** @type {number} */ inset) {
    const { clientWidth: width, clientHeight: height } = this.element;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    for (const canvas of [this.ground, this.dots, this.marks]) {
      const fine = canvas === this.ground ? 1 : ratio; // the ground is soft
      canvas.width = Math.max(1, Math.round(width * fine));
      canvas.height = Math.max(1, Math.round(height * fine));
    }
    this.camera.resize(width, height, inset);
    this.ask();
  }

  #draw() {
    this.frame = 0;
    const { points, look } = this.scene;
    if (!points) return;
    if (this.due) {
      this.due = false;
      this.#drawGround(points);
      this.seen = this.painter.draw(points, this.camera, this.#standBack(points, look));
    }
    this.#drawMarks(points);
  }

  /** What is not selected stands back a little while something is. @param {Points} points @param {Look} look */
  #standBack(points, look) {
    const { picked } = this.scene;
    if (!picked.size) return look;
    const dim = look.dim.slice();
    for (let at = 0; at < points.count; at += 1) if (!dim[at] && !picked.has(points.ids[at] ?? 0)) dim[at] = 2;
    return { ...look, dim };
  }

  #context(/** @type {HTMLCanvasElement} */ canvas) {
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const ratio = canvas.width / Math.max(1, this.camera.width);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    return context;
  }

  #drawGround(/** @type {Points} */ points) {
    const { camera } = this;
    const dark = document.documentElement.dataset["theme"] === "dark";
    const context = this.#context(this.ground);
    const strength = Math.max(0, Math.min(1, 1.35 - camera.zoom / 14));
    if (strength === 0) return;
    this.land ??= drawLand(points, dark ? [200, 222, 230] : [52, 78, 92], dark ? 0.042 : 0.05);
    const from = camera.toWindow(0, 0);
    const size = camera.side * camera.scale;
    context.globalAlpha = strength;
    context.drawImage(this.land, from.x, from.y, size, size);
  }

  #drawMarks(/** @type {Points} */ points) {
    const { camera, scene, colors } = this;
    const context = this.#context(this.marks);
    const isOn = (/** @type {number} */ at) => !scene.look.dim[at];
    const radius = radiusOf(points, camera);
    context.strokeStyle = colors.accent;
    context.lineWidth = 1.5;
    if (radius >= RINGED) for (const id of scene.picked) this.#ring(context, points, points.places.get(id) ?? -1, radius + 2);
    const text = { text: colors.text, halo: colors.halo, font: colors.font };
    const near = this.near.draw(context, points, camera, isOn, this.seen, text);
    if (!near) drawNames(context, points.regions, camera, text);
    drawLine(context, camera, scene.line, colors.accent);
    context.strokeStyle = colors.text;
    context.lineWidth = 2;
    this.#ring(context, points, scene.pointed, radius + 3.5);
  }

  /** @param {CanvasRenderingContext2D} context @param {Points} points @param {number} at @param {number} radius */
  #ring(context, points, at, radius) {
    if (at < 0) return;
    const { x, y } = this.camera.toWindow(points.x[at] ?? 0, points.y[at] ?? 0);
    if (x < -radius || y < -radius || x > this.camera.width + radius || y > this.camera.height + radius) return;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
  }
}
