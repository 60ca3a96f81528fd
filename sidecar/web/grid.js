// The virtual grid: only the rows near the window exist, and they are reused. What the user does in it is in gridinput.js.
import { Card } from "./card.js";
import { bridge } from "./bridge.js";
import { h } from "./dom.js";
import { measure } from "./geometry.js";
import { startInput } from "./gridinput.js";
import { library } from "./library.js";
import { preferences } from "./preferences.js";
import { query } from "./query.js";
import { selection } from "./select/selection.js";

/** @typedef {import("./geometry.js").Density} Density */
/** @typedef {{element: HTMLElement, cards: Card[], row: number}} Row */

const ROWS_BEYOND = 1;

/** Emits on the element: "main", "details", "favorite" and "active", with the LoRA as detail (see gridinput.js). */
export class LoraGrid extends HTMLElement {
  constructor() {
    super();
    /** @type {Density} */
    this.density = "medium";
    this.columns = 1;
    this.rowHeight = 1;
    this.gap = 12;
    this.active = 0;
    /** @type {Map<number, Row>} */
    this.rows = new Map();
    /** @type {Row[]} */
    this.spare = [];
    this.space = h("div", { class: "space", role: "presentation" });
    this.lastTop = 0;
    this.frame = 0;
    this.settle = 0;
    this.fast = false;
    this.lastUse = 0;
  }

  connectedCallback() {
    this.setAttribute("role", "grid");
    this.setAttribute("aria-label", "LoRAs");
    this.setAttribute("aria-multiselectable", "true");
    this.append(this.space);
    this.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.addEventListener("pointermove", () => (this.lastUse = performance.now()), { passive: true });
    startInput(this);
    new ResizeObserver(() => this.layout()).observe(this);
    library.on("reset", ({ keepPlace }) => this.#reset(keepPlace));
    library.on("loaded", () => this.#arrived());
    library.on("item", (lora) => this.#eachCard((card) => card.lora?.id === lora.id && card.show(card.index, lora, true)));
    library.on("slow", (slow) => this.classList.toggle("slow", slow));
    library.mayMove = () => this.scrollTop < 4 && performance.now() - this.lastUse > 1500;
    const mark = () => this.#eachCard((card) => card.mark());
    bridge.on("prompt", mark);
    bridge.on("host", mark);
    query.on("open", mark);
    selection.on("change", mark);
    preferences.on("change", mark);
  }

  setDensity(/** @type {Density} */ density) {
    this.density = density;
    this.dataset["density"] = density;
    this.layout(true);
  }

  /** Columns and row height for the present width; what was at the top (or is focused) stays where it is. */
  layout(force = false) {
    const style = getComputedStyle(this);
    const width = this.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    if (width <= 0) return;
    const { columns, gap, previewHeight, rowHeight } = measure(this.density, width);
    const changed = columns !== this.columns || rowHeight !== this.rowHeight;
    if (changed || force) {
      const anchor = this.#anchor();
      this.columns = columns;
      this.rowHeight = rowHeight;
      this.gap = gap;
      this.style.setProperty("--columns", String(columns));
      this.style.setProperty("--gap", `${this.gap}px`);
      this.style.setProperty("--preview", `${previewHeight}px`);
      this.style.setProperty("--row", `${rowHeight - this.gap}px`);
      this.setAttribute("aria-colcount", String(columns));
      this.#forget();
      this.#setHeight();
      this.scrollTop = Math.floor(anchor.index / columns) * rowHeight - anchor.offset;
    }
    this.render();
  }

  /** Put a LoRA into view and make it the one the keyboard acts on. */
  activate(/** @type {number} */ index, { focus = true } = {}) {
    const total = library.total ?? 0;
    if (!total) return;
    this.active = Math.max(0, Math.min(total - 1, index));
    const top = Math.floor(this.active / this.columns) * this.rowHeight;
    const inner = this.clientHeight - 24;
    if (top < this.scrollTop) this.scrollTop = top;
    else if (top + this.rowHeight > this.scrollTop + inner) this.scrollTop = top + this.rowHeight - inner;
    this.render();
    if (focus) this.cardAt(this.active)?.element.focus({ preventScroll: true });
  }

  /** The place of the card around an element, -1 outside of cards. */
  indexOf(/** @type {EventTarget|null} */ target) {
    const card = target instanceof Element ? target.closest(".card") : null;
    return card instanceof HTMLElement ? Number(card.dataset["index"]) : -1;
  }

  tell(/** @type {string} */ type, /** @type {import("./types.js").Lora|undefined} */ lora) {
    if (lora) this.dispatchEvent(new CustomEvent(type, { detail: lora }));
  }

  /** @returns {Card|undefined} */
  cardAt(/** @type {number} */ index) {
    return this.rows.get(Math.floor(index / this.columns))?.cards[index % this.columns];
  }

  render() {
    const total = library.total ?? 0;
    const lastRow = Math.ceil(total / this.columns) - 1;
    const first = Math.max(0, Math.floor(this.scrollTop / this.rowHeight) - ROWS_BEYOND);
    const last = Math.min(lastRow, Math.floor((this.scrollTop + this.clientHeight) / this.rowHeight) + ROWS_BEYOND);
    const pinned = this.contains(document.activeElement) ? Math.floor(this.active / this.columns) : -1;
    for (const [row, node] of this.rows) {
      if ((row < first || row > last) && (row !== pinned || row > lastRow)) {
        this.rows.delete(row);
        this.spare.push(node);
      }
    }
    for (let row = first; row <= last; row += 1) if (!this.rows.has(row)) this.#place(row);
    for (const node of this.spare) this.#hide(node);
    this.#eachRow((node) => this.#fill(node, total));
    if (total && !this.fast) library.ensure(first * this.columns, Math.min(total - 1, (last + 1) * this.columns - 1));
  }

  #place(/** @type {number} */ row) {
    const node = this.spare.pop() ?? this.#makeRow();
    node.row = row;
    node.element.hidden = false;
    node.element.style.transform = `translateY(${row * this.rowHeight}px)`;
    node.element.setAttribute("aria-rowindex", String(row + 1));
    this.rows.set(row, node);
  }

  #hide(/** @type {Row} */ node) {
    if (node.element.hidden) return;
    node.element.hidden = true;
    for (const card of node.cards) card.show(-1, undefined, false);
  }

  /** @returns {Row} */
  #makeRow() {
    const cards = Array.from({ length: this.columns }, () => new Card());
    cards.forEach((card, at) => card.element.setAttribute("aria-colindex", String(at + 1)));
    const element = h("div", { class: "card-row", role: "row" }, ...cards.map((card) => card.element));
    this.space.append(element);
    return { element, cards, row: -1 };
  }

  #fill(/** @type {Row} */ node, /** @type {number} */ total) {
    for (const [at, card] of node.cards.entries()) {
      const index = node.row * this.columns + at;
      const lora = library.get(index);
      const outside = index >= total;
      if (card.element.hidden !== outside) card.element.hidden = outside;
      const tab = index === this.active ? 0 : -1;
      if (card.element.tabIndex !== tab) card.element.tabIndex = tab;
      if (card.index !== index || card.lora !== (lora ?? null) || !lora || (!this.fast && lora.preview && !card.shownPreview)) {
        card.show(index, lora, !this.fast);
      }
    }
  }

  #scrolled() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const moved = Math.abs(this.scrollTop - this.lastTop);
      this.lastTop = this.scrollTop;
      this.fast = moved > this.clientHeight * 0.75;
      if (this.fast) this.#settleIn(80);
      this.render();
    });
  }

  /** A page is here: its names in this frame, its pictures in a later one, so that no frame takes long. */
  #arrived() {
    this.fast = true;
    this.#sized();
    this.#settleIn(40);
  }

  #settleIn(/** @type {number} */ wait) {
    clearTimeout(this.settle);
    this.settle = window.setTimeout(() => {
      this.fast = false;
      this.render();
    }, wait);
  }

  #reset(/** @type {boolean} */ keepPlace) {
    if (!keepPlace) {
      this.scrollTop = 0;
      this.active = 0;
    }
    this.#sized();
  }

  #sized() {
    const total = library.total ?? 0;
    this.active = Math.max(0, Math.min(this.active, total - 1));
    this.#setHeight();
    this.render();
  }

  #setHeight() {
    const rows = Math.ceil((library.total ?? 0) / this.columns);
    this.setAttribute("aria-rowcount", String(rows));
    this.space.style.height = `${Math.max(0, rows * this.rowHeight)}px`;
  }

  /** The LoRA to hold on to when the layout changes, and how far below the window's top it is. */
  #anchor() {
    const focusedRow = Math.floor(this.active / this.columns);
    const offset = focusedRow * this.rowHeight - this.scrollTop;
    if (this.contains(document.activeElement) && offset > -this.rowHeight && offset < this.clientHeight) {
      return { index: this.active, offset: Math.max(0, offset) };
    }
    const row = Math.floor(this.scrollTop / this.rowHeight);
    return { index: row * this.columns, offset: row * this.rowHeight - this.scrollTop };
  }

  #forget() {
    const focused = this.contains(document.activeElement);
    this.space.replaceChildren();
    this.rows.clear();
    this.spare = [];
    if (focused) queueMicrotask(() => this.cardAt(this.active)?.element.focus({ preventScroll: true }));
  }

  #eachRow(/** @type {(row: Row) => void} */ call) {
    for (const row of this.rows.values()) call(row);
  }

  #eachCard(/** @type {(card: Card) => void} */ call) {
    this.#eachRow((row) => row.cards.forEach(call));
  }
}

customElements.define("lora-grid", LoraGrid);
