// The names of regions over the points: those of large parts from afar, those of small ones from near; none over another.

/** @typedef {import("./points.js").Region} Region */
/** @typedef {import("./camera.js").Camera} Camera */

/** From which zoom on names of a level are seen, and until when. @type {Record<number, [number, number]>} */
const SEEN = { [-1]: [0, 8], 0: [0, 2.6], 1: [1.5, 7], 2: [4.2, 600] };
/** @type {Record<number, [number, number]>} size in pixels, weight */
const FONTS = { [-1]: [12, 600], 0: [14, 650], 1: [12.5, 600], 2: [11.5, 550] };
const GAP = 6;
const EDGE = 8;

/**
 * @param {CanvasRenderingContext2D} context in CSS pixels
 * @param {Region[]} regions
 * @param {Camera} camera
 * @param {{text: string, halo: string, font: string}} look
 * @returns {number} how many are drawn
 */
export function drawNames(context, regions, camera, look) {
  /** @type {{left: number, top: number, right: number, bottom: number}[]} */
  const taken = [];
  const due = regions.filter(({ level }) => camera.zoom >= (SEEN[level]?.[0] ?? 0) && camera.zoom < (SEEN[level]?.[1] ?? 0));
  due.sort((a, b) => a.level - b.level || b.count - a.count);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  for (const { text, x, y, level } of due) {
    const at = camera.toWindow(x, y);
    if (at.x < 0 || at.y < 0 || at.x > camera.width || at.y > camera.height) continue;
    const [size, weight] = FONTS[level] ?? [12, 500];
    context.font = `${weight} ${size}px ${look.font}`;
    const half = context.measureText(text).width / 2;
    at.x = Math.max(half + EDGE, Math.min(camera.width - half - EDGE, at.x));
    const box = { left: at.x - half - GAP, right: at.x + half + GAP, top: at.y - size / 2 - GAP, bottom: at.y + size / 2 + GAP };
    if (taken.some((one) => box.left < one.right && box.right > one.left && box.top < one.bottom && box.bottom > one.top)) continue;
    taken.push(box);
    context.strokeStyle = look.halo;
    context.lineWidth = 4;
    context.strokeText(text, at.x, at.y);
    context.fillStyle = look.text;
    context.fillText(text, at.x, at.y);
  }
  return taken.length;
}
