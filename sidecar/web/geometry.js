// Sizes and moves in the grid, as plain arithmetic.

/** @typedef {"small"|"medium"|"large"} Density */

/** Narrowest card, the same on a phone, height of the preview to its width, height of the caption: in CSS pixels. */
const SIZES = {
  small: { min: 116, phone: 100, ratio: 1.15, caption: 58 },
  medium: { min: 172, phone: 150, ratio: 1.15, caption: 92 },
  large: { min: 264, phone: 320, ratio: 1.1, caption: 100 },
};
const PHONE = 520;

/** How many cards go side by side in this width, and how high they are. */
export function measure(/** @type {Density} */ density, /** @type {number} */ width) {
  const size = SIZES[density];
  const gap = width < PHONE ? 8 : 12;
  const least = width < PHONE ? size.phone : size.min;
  const columns = Math.max(1, Math.floor((width + gap) / (least + gap)));
  const previewHeight = Math.round(((width - gap * (columns - 1)) / columns) * size.ratio);
  return { columns, gap, previewHeight, rowHeight: previewHeight + size.caption + gap };
}

/**
 * Where a key leads from the card `at`; null when it is not a key that moves. Steps past an edge stay in their column.
 * @param {string} key
 * @param {{at: number, columns: number, rows: number, total: number}} place rows: how many the window shows
 * @returns {number|null}
 */
export function move(key, { at, columns, rows, total }) {
  const last = total - 1;
  const page = Math.max(1, rows) * columns;
  if (key === "Home") return 0;
  if (key === "End") return last;
  if (key === "ArrowLeft") return Math.max(0, at - 1);
  if (key === "ArrowRight") return Math.min(last, at + 1);
  if (key === "ArrowUp") return at < columns ? at : at - columns;
  if (key === "PageUp") return at < page ? at % columns : at - page;
  if (key !== "ArrowDown" && key !== "PageDown") return null;
  const to = at + (key === "ArrowDown" ? columns : page);
  if (to <= last) return to;
  return Math.floor(at / columns) === Math.floor(last / columns) ? at : last;
}
