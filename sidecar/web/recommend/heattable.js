// The heat map itself: a row for each pair of LoRAs, a column for each block in the order of the signal. Arrow keys walk in it;
// what is pointed at, has the focus or was touched is read out below.
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { cosineIn, shareOf, sizeIn, together } from "./heatmath.js";
import { directionOf } from "./heatsay.js";

/**
 * @typedef {import("./heatmath.js").Column} Column
 * @typedef {import("./heatmath.js").PairOf} PairOf
 * @typedef {import("./heatmath.js").Stacked} Stacked
 */

const FEW = 12;
const ALL = 120;
/** Groups of more blocks than this begin as one column where there is little room. */
const NARROW = 12;
const MANY = 16;
/** Widths in pixels: where there is room, and where there is little. */
const WIDE = { pair: 168, overall: 50, alone: 56, gap: 6, least: 11, most: 60 };
const SMALL = { pair: 112, overall: 48, alone: 40, gap: 6, least: 22, most: 60 };
const HINT = "Point at a field, touch it, or walk with the arrow keys.";

export class HeatTable {
  constructor() {
    /** @type {Map<string, boolean>} groups that are drawn block by block */
    this.open = new Map();
    this.all = false;
    this.place = { row: 0, column: 0 };
    this.readout = h("p", { class: "heat-readout" }, HINT);
    this.table = h("table", { class: "heat-table", role: "grid", "aria-label": "Interference by pairs and blocks" });
    this.more = h("button", { class: "quiet", type: "button" });
    this.more.addEventListener("click", () => {
      this.all = true;
      this.draw();
    });
    this.scroll = h("div", { class: "heat-scroll" }, this.table);
    this.element = h("div", { class: "heat-map" }, this.scroll, this.more, h("div", { class: "heat-foot" }, this.readout, legend()));
    this.loras = /** @type {Stacked[]} */ ([]);
    this.columns = /** @type {Column[]} */ ([]);
    this.pairs = /** @type {PairOf[]} */ ([]);
    this.shown = /** @type {Column[]} */ ([]);
    this.cells = /** @type {HTMLTableCellElement[][]} */ ([]);
    /** What each column is, for its width. */
    this.kinds = /** @type {string[]} */ ([]);
    this.widths = /** @type {HTMLTableColElement[]} */ ([]);
    new ResizeObserver(() => this.#fit()).observe(this.scroll);
    this.table.addEventListener("keydown", (event) => this.#walk(event));
    for (const type of ["focusin", "pointerover"]) this.table.addEventListener(type, (event) => this.#point(event.target));
    this.table.addEventListener("pointerleave", () => this.#point(document.activeElement));
  }

  /** @param {Stacked[]} loras @param {Column[]} columns @param {PairOf[]} pairs */
  show(loras, columns, pairs) {
    const keep = document.activeElement instanceof HTMLElement && document.activeElement.closest(".heat-weights"); // rows rest while a slider is moved
    if (keep && pairs.length === this.pairs.length) pairs = this.pairs.map((old) => pairs.find(({ both }) => both.join() === old.both.join()) ?? old);
    Object.assign(this, { loras, columns, pairs });
    this.draw();
  }

  draw() {
    const groups = [...new Set(this.columns.map(({ group }) => group))].map((name) => ({ name, columns: this.columns.filter(({ group }) => group === name) }));
    for (const { name, columns } of groups) if (!this.open.has(name)) this.open.set(name, !name.startsWith("Text encoder") && (innerWidth > 720 || columns.length <= NARROW));
    const parts = groups.map(({ name, columns }) => (columns.length === 1 || this.open.get(name) ? columns : [together(columns, name)]));
    this.shown = [{ ...together(this.columns, "All blocks"), group: "all" }, ...parts.flat()];
    const heads = groups.map(({ name, columns }, at) => this.#groupHead(name, columns.length, parts[at]?.length ?? 1));
    const shorts = parts.flatMap((columns) => columns.map((column, at) => h("th", { scope: "col", class: at ? "" : "first", title: column.name }, h("span", { class: "offscreen" }, column.name), h("span", { "aria-hidden": "true" }, labelOf(column, columns.length)))));
    this.kinds = ["pair", "overall", ...parts.flatMap((columns) => columns.map((_, at) => (columns.length === 1 ? "alone" : at ? "block" : "lead")))];
    const rows = this.pairs.slice(0, this.all ? ALL : FEW);
    const firsts = new Set(parts.map(([column]) => column));
    this.cells = rows.map((pair) => this.shown.map((column) => this.#cell(pair, column, firsts.has(column))));
    const head = h("thead", null, h("tr", { class: "heat-groups" }, h("td", { class: "heat-corner" }), h("th", { scope: "col", rowSpan: 2 }, "All"), ...heads), h("tr", { class: "heat-blocks" }, h("td", { class: "heat-corner" }), ...shorts));
    const body = h("tbody", null, ...rows.map((pair, at) => h("tr", null, this.#rowHead(pair), ...(this.cells[at] ?? []))));
    const focused = this.table.contains(document.activeElement) ? document.activeElement : null;
    const group = focused?.getAttribute("data-group");
    this.widths = this.kinds.map(() => h("col"));
    this.table.replaceChildren(h("colgroup", null, ...this.widths), head, body);
    this.#fit();
    this.more.hidden = this.all || rows.length === this.pairs.length;
    this.more.textContent = this.pairs.length > ALL ? `Show the ${ALL} that pull most of ${this.pairs.length} pairs` : `Show all ${this.pairs.length} pairs`;
    this.place = { row: Math.min(this.place.row, rows.length - 1), column: Math.min(this.place.column, this.shown.length - 1) };
    const cell = this.#current();
    if (cell) cell.tabIndex = 0;
    if (group) [...this.table.querySelectorAll("button")].find((button) => button.dataset["group"] === group)?.focus();
    else if (focused) cell?.focus();
    this.#point(document.activeElement);
  }

  /** Blocks share the room that there is; where they would be too narrow to be touched, the map is scrolled. */
  #fit() {
    const room = this.scroll.clientWidth;
    const { pair, overall, alone, gap, least, most } = room < 560 || matchMedia("(pointer: coarse)").matches ? SMALL : WIDE;
    const count = (/** @type {string} */ kind) => this.kinds.filter((one) => one === kind).length;
    const blocks = count("block") + count("lead");
    const fixed = pair + overall + count("alone") * (alone + gap) + count("lead") * gap + this.kinds.length + 1;
    const unit = blocks ? Math.max(least, Math.min(most, Math.floor((room - fixed) / blocks))) : 0;
    const sizes = /** @type {Record<string, number>} */ ({ pair, overall, alone: alone + gap, lead: unit + gap, block: unit });
    for (const [at, kind] of this.kinds.entries()) if (this.widths[at]) this.widths[at].style.width = `${sizes[kind]}px`;
    this.table.style.width = `${fixed + unit * blocks}px`;
  }

  #current() {
    return this.cells[this.place.row]?.[this.place.column];
  }

  /** @param {string} name @param {number} count of its blocks @param {number} span */
  #groupHead(name, count, span) {
    const short = name.replace("Text encoder", this.columns.some(({ group }) => group === "Text encoder 2") ? "TE 1" : "TE").replace("1 ", "");
    if (count === 1) return h("th", { scope: "col", class: "first", title: name }, short);
    const open = Boolean(this.open.get(name));
    const button = h("button", { type: "button", "data-group": name, "aria-expanded": String(open), "aria-label": name, title: open ? `${name} as one column` : `${name}: ${count} blocks, one by one` }, h("span", null, short), icon(open ? "minus" : "plus"));
    button.addEventListener("click", () => {
      this.open.set(name, !open);
      this.draw();
    });
    return h("th", { scope: "colgroup", class: "first", colSpan: span }, button);
  }

  #rowHead(/** @type {PairOf} */ { both }) {
    const [one, other] = both.map((place) => this.loras[place]?.title ?? "");
    return h("th", { scope: "row", title: `${one} and ${other}` }, h("span", null, one), h("span", { class: "offscreen" }, " and "), h("span", null, other));
  }

  /** @param {PairOf} pair @param {Column} column @param {boolean} leads it is the first of its group */
  #cell({ both: [one = 0, other = 0] }, column, leads) {
    const cosine = cosineIn(column, one, other);
    const overall = column.group === "all";
    const said = cosine === null ? "–" : numeral(cosine);
    const sign = cosine === null ? "none" : cosine < 0 ? "minus" : "plus";
    const size = Math.abs(cosine ?? 0);
    return h("td", { class: `heat-cell is-${sign}${size > 0.57 ? " deep" : ""}${size > 0.88 ? " deepest" : ""}${size < 0.05 ? " faint" : ""}${overall ? " overall" : ""}${leads ? " first" : ""}`, tabIndex: -1, style: { "--heat": `${(size * 100).toFixed(1)}%` } }, h("span", { class: overall ? "" : "offscreen" }, said));
  }

  #point(/** @type {EventTarget|null} */ target) {
    const cell = target instanceof Element ? target.closest("td.heat-cell") : null;
    const row = this.cells.findIndex((cells) => cells.some((one) => one === cell));
    const column = this.cells[row]?.findIndex((one) => one === cell) ?? -1;
    this.readout.replaceChildren(...this.#told(this.pairs[row], this.shown[column]));
    if (target !== document.activeElement || !cell) return;
    this.place = { row, column };
    for (const other of this.table.querySelectorAll('td[tabindex="0"]')) other.setAttribute("tabindex", "-1");
    cell.setAttribute("tabindex", "0");
  }

  /** @param {PairOf|undefined} pair @param {Column|undefined} column @returns {(Node|string)[]} */
  #told(pair, column) {
    if (!pair || !column) return [HINT];
    const [one = 0, other = 0] = pair.both;
    const titleOf = (/** @type {number} */ place) => this.loras[place]?.title ?? "";
    const cosine = cosineIn(column, one, other);
    const who = [h("strong", null, column.name), ` · ${titleOf(one)} and ${titleOf(other)}: `];
    if (cosine === null) {
      const [changing] = pair.both.filter((place) => sizeIn(column, place) > 0);
      return [...who, changing === undefined ? "neither changes it." : `only ${titleOf(changing)} changes it.`];
    }
    const share = column.group === "all" ? "" : ` ${percent(shareOf(this.columns, column, one, other))} of what both change is here.`;
    return [...who, h("strong", null, numeral(cosine)), `, ${directionOf(cosine)}.${share}`];
  }

  #walk(/** @type {KeyboardEvent} */ event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof HTMLTableCellElement)) return;
    const { row, column } = this.place;
    const last = { row: this.cells.length - 1, column: this.shown.length - 1 };
    const to = { ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1], ArrowDown: [row + 1, column], ArrowUp: [row - 1, column], Home: [row, 0], End: [row, last.column] }[event.key];
    if (!to) return;
    event.preventDefault();
    const [down = 0, across = 0] = to;
    const cell = this.cells[Math.max(0, Math.min(last.row, down))]?.[Math.max(0, Math.min(last.column, across))];
    cell?.focus();
    cell?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

/** The number above a block; every fifth where there are many. @param {Column} column @param {number} count of the blocks beside each other */
const labelOf = ({ short }, count) => (count === 1 || (count > MANY && Number(short) % 5) ? "" : short);

/** A cosine with two digits, and a minus that is one. @param {number} cosine */
const numeral = (cosine) => cosine.toFixed(2).replace("-0.00", "0.00").replace("-", "−");

/** @param {number} part */
export const percent = (part) => `${part > 0 && part < 0.01 ? "<\u202f1" : Math.round(part * 100)}\u00a0%`;

/** What the colours mean. */
function legend() {
  const marks = [-1, -0.5, 0, 0.5, 1].map((mark) => h("span", null, mark === 0 ? "0" : `${mark > 0 ? "+" : "−"}${Math.abs(mark)}`));
  return h("div", { class: "heat-legend", role: "img", "aria-label": "Colours: −1 against each other, 0 nothing in common, +1 the same direction" }, h("div", { class: "heat-words" }, h("span", null, "against"), h("span", null, "nothing in common"), h("span", null, "same direction")), h("div", { class: "heat-scale" }), h("div", { class: "heat-marks" }, ...marks));
}
