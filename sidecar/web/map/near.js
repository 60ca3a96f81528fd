// What is seen from near: pictures in the place of points, and what the LoRAs are called.
import { ApiError, previewUrl } from "../api.js";
import { titleOf } from "../format.js";
import { preferences } from "../preferences.js";
import { read, recall } from "./loras.js";

/** @typedef {import("../types.js").Lora} Lora */
/** @typedef {import("./points.js").Points} Points */
/** @typedef {import("./camera.js").Camera} Camera */
/** @typedef {{left: number, top: number, right: number, bottom: number}} Box */

const SIZE = 46;
/** Points in the window, at most. */
const MOST = 140;
const PICTURES = 400;
const LETTERS = 26;

export class Near {
  constructor(/** @type {() => void} */ arrived) {
    this.arrived = arrived;
    /** @type {Map<number, HTMLImageElement>} */
    this.images = new Map();
    this.asking = false;
    /** Asked for, and gone. @type {Set<number>} */
    this.gone = new Set();
  }

  /**
   * @param {CanvasRenderingContext2D} context in CSS pixels
   * @param {Points} points @param {Camera} camera @param {(at: number) => boolean} isOn
   * @param {number} seen points in the window
   * @param {{text: string, halo: string, font: string}} look
   * @returns {boolean} whether it is near enough
   */
  draw(context, points, camera, isOn, seen, look) {
    const room = (camera.width * camera.height) / Math.max(1, seen);
    if (seen > MOST || room < (SIZE * 1.6) ** 2 || camera.zoom < 4) return false;
    const from = camera.toMap(-SIZE, -SIZE);
    const to = camera.toMap(camera.width + SIZE, camera.height + SIZE);
    const many = points.within(from.x, from.y, to.x, to.y);
    /** @type {{x: number, y: number, lora: Lora, pictured: boolean}[]} */
    const due = [];
    const missing = [];
    for (let number = 0; number < many; number += 1) {
      const at = points.found[number] ?? 0;
      if (!isOn(at)) continue;
      const { x, y } = camera.toWindow(points.x[at] ?? 0, points.y[at] ?? 0);
      if (x < -SIZE || y < -SIZE || x > camera.width + SIZE || y > camera.height + SIZE) continue;
      const lora = recall(points.ids[at] ?? 0);
      if (!lora && !this.gone.has(points.ids[at] ?? 0)) missing.push(points.ids[at] ?? 0);
      if (lora) due.push({ x, y, lora, pictured: this.#picture(context, lora, x, y) });
    }
    drawTitles(context, due, look);
    if (missing.length && !this.asking) void this.#ask(missing);
    return true;
  }

  async #ask(/** @type {number[]} */ ids) {
    this.asking = true;
    try {
      await read(ids);
      for (const id of ids) if (!recall(id)) this.gone.add(id);
      this.arrived();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the points stay
    } finally {
      this.asking = false;
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {Lora} lora @param {number} x @param {number} y */
  #picture(context, lora, x, y) {
    const image = this.#image(lora);
    if (!image) return false;
    const { naturalWidth: width, naturalHeight: height } = image;
    const side = Math.min(width, height);
    context.save();
    context.beginPath();
    context.roundRect(x - SIZE / 2, y - SIZE / 2, SIZE, SIZE, 8);
    context.clip();
    context.drawImage(image, (width - side) / 2, (height - side) * 0.2, side, side, x - SIZE / 2, y - SIZE / 2, SIZE, SIZE);
    context.restore();
    return true;
  }

  /** The picture when it is there; else it is asked for. */
  #image(/** @type {Lora} */ lora) {
    if (!lora.preview || lora.preview.kind === "video" || preferences.blurs(lora)) return null;
    let image = this.images.get(lora.id);
    if (!image) {
      if (this.images.size > PICTURES) this.images.clear();
      image = new Image();
      image.decoding = "async";
      image.addEventListener("load", this.arrived);
      image.src = previewUrl(lora);
      this.images.set(lora.id, image);
    }
    return image.complete && image.naturalWidth ? image : null;
  }
}

/** Titles below their points, where there is room. @param {CanvasRenderingContext2D} context @param {{x: number, y: number, lora: Lora, pictured: boolean}[]} due @param {{text: string, halo: string, font: string}} look */
function drawTitles(context, due, look) {
  /** @type {Box[]} */
  const taken = due.map(({ x, y, pictured }) => {
    const half = pictured ? SIZE / 2 : 7;
    return { left: x - half, right: x + half, top: y - half, bottom: y + half };
  });
  context.font = `500 11px ${look.font}`;
  context.textAlign = "center";
  context.textBaseline = "top";
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = look.halo;
  context.fillStyle = look.text;
  for (const { x, y, lora, pictured } of due) {
    const whole = titleOf(lora);
    const text = whole.length > LETTERS ? `${whole.slice(0, LETTERS - 1).trimEnd()}…` : whole;
    const half = context.measureText(text).width / 2 + 3;
    const top = y + (pictured ? SIZE / 2 : 7) + 3;
    const box = { left: x - half, right: x + half, top, bottom: top + 13 };
    if (taken.some((one) => box.left < one.right && box.right > one.left && box.top < one.bottom && box.bottom > one.top)) continue;
    taken.push(box);
    context.strokeText(text, x, top);
    context.fillText(text, x, top);
  }
}
