// A line drawn around points, and which points lie inside it.

/** @typedef {import("./points.js").Points} Points */
/** @typedef {import("./camera.js").Camera} Camera */
/** @typedef {{x: number, y: number}} Place */

/**
 * Places of the points inside a closed line (even-odd), both in the map's coordinates.
 * @param {Points} points @param {Place[]} line @param {(at: number) => boolean} mayBe
 */
export function inside(points, line, mayBe) {
  if (line.length < 3) return [];
  const xs = line.map(({ x }) => x);
  const ys = line.map(({ y }) => y);
  const many = points.within(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
  const found = [];
  for (let number = 0; number < many; number += 1) {
    const at = points.found[number] ?? 0;
    if (mayBe(at) && holds(line, points.x[at] ?? 0, points.y[at] ?? 0)) found.push(at);
  }
  return found;
}

function holds(/** @type {Place[]} */ line, /** @type {number} */ x, /** @type {number} */ y) {
  let odd = false;
  let before = /** @type {Place} */ (line[line.length - 1]);
  for (const here of line) {
    if (here.y > y !== before.y > y && x < ((before.x - here.x) * (y - here.y)) / (before.y - here.y) + here.x) odd = !odd;
    before = here;
  }
  return odd;
}

/** Draw the line as it is being drawn. @param {CanvasRenderingContext2D} context @param {Camera} camera @param {Place[]} line @param {string} color */
export function drawLine(context, camera, line, color) {
  if (line.length < 2) return;
  context.beginPath();
  for (const [at, { x, y }] of line.entries()) {
    const spot = camera.toWindow(x, y);
    if (at) context.lineTo(spot.x, spot.y);
    else context.moveTo(spot.x, spot.y);
  }
  context.closePath();
  context.globalAlpha = 0.12;
  context.fillStyle = color;
  context.fill("evenodd");
  context.globalAlpha = 1;
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  context.setLineDash([5, 4]);
  context.stroke();
  context.setLineDash([]);
}
