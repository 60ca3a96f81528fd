// A weight as a slider and a number: arrow keys, wheel, typing; double click gives the usual one. And a draw's range.
import { h } from "../dom.js";

const STEP = 0.05;
const FINE = 0.01;
/** The slider reaches at least from here to there. */
const REACH = [-1, 2];
/** Right after the page was scrolled the wheel goes on scrolling, whatever comes under it. */
const SCROLLED = 300;

let scrolled = -Infinity;
document.addEventListener("scroll", (event) => {
  if (event.target instanceof Element && event.target.matches(".page-body")) scrolled = performance.now();
}, { capture: true, passive: true });

const rounded = (/** @type {number} */ weight) => Math.round(weight * 100) / 100;

export class Weight {
  /**
   * @param {string} name whose weight
   * @param {number} usual what counts where none is said
   * @param {(weight: number, kind: string) => void} change kind: changes of one kind are one step of undo
   */
  constructor(name, usual, change) {
    this.usual = usual;
    this.change = change;
    this.slider = h("input", { type: "range", step: FINE, "aria-label": `Weight of ${name}` });
    this.box = h("input", { type: "number", class: "chip-number", step: STEP, "aria-label": `Weight of ${name} as a number` });
    this.slider.title = `Arrow keys or wheel, with Shift in finer steps; double click: ${rounded(usual)}`;
    this.element = h("div", { class: "chip-weight" }, this.slider, this.box);
    const { slider, box } = this;
    slider.addEventListener("input", () => this.#take(rounded(Math.round(Number(slider.value) / STEP) * STEP), "weight"));
    slider.addEventListener("dblclick", () => this.#take(rounded(usual), ""));
    slider.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 4, PageDown: -4 }[event.key];
      if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.#step(by, event.shiftKey);
    });
    box.addEventListener("input", () => {
      if (box.value !== "" && Number.isFinite(Number(box.value))) this.#take(Number(box.value), "weight", false);
    });
    for (const element of [slider, box]) element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  /** Show a weight; null: none is said, the usual one counts. @param {number|null} weight */
  show(weight) {
    const now = rounded(weight ?? this.usual);
    this.#reach(now);
    this.slider.value = String(now);
    if (document.activeElement !== this.box || Number(this.box.value) !== now) this.box.value = String(now);
    this.element.classList.toggle("unsaid", weight === null);
    this.box.title = weight === null ? "The prompt says no weight: this one is filled in" : "";
  }

  /** @param {number} now */
  #reach(now) {
    const [from = 0, to = 0] = REACH;
    this.slider.min = String(Math.min(from, Math.floor(now)));
    this.slider.max = String(Math.max(to, Math.ceil(now)));
  }

  /** @param {number} weight @param {string} kind @param {boolean} [write] */
  #take(weight, kind, write = true) {
    if (write) this.show(weight);
    else this.slider.value = String(weight);
    this.element.classList.remove("unsaid");
    this.change(weight, kind);
  }

  /** @param {number} by @param {boolean} fine */
  #step(by, fine) {
    this.#take(rounded(Number(this.box.value) + by * (fine ? FINE : STEP)), "weight");
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    const by = Math.sign(event.deltaX - event.deltaY); // with Shift browsers scroll sideways
    if (event.ctrlKey || !by || performance.now() - scrolled < SCROLLED) return;
    event.preventDefault();
    this.#step(event.shiftKey && event.deltaY === 0 ? -by : by, event.shiftKey);
  }
}

/** The range that a draw takes its weight out of: two numbers. */
export class Range {
  /** @param {string} name @param {(weights: [number, number]|null) => void} change null: as the LoRA itself says */
  constructor(name, change) {
    const box = (/** @type {string} */ which, /** @type {string} */ placeholder) => h("input", { type: "number", class: "chip-number", step: STEP, placeholder, "aria-label": `${which} weight of ${name}` });
    this.from = box("Least", "usual");
    this.to = box("Greatest", "usual");
    this.element = h("div", { class: "chip-weight range" }, this.from, h("span", null, "–"), this.to);
    this.element.title = "Each image draws its weight out of this range; empty: as the LoRA itself says";
    this.element.addEventListener("change", (event) => {
      const changed = event.target === this.to ? this.to : this.from;
      const other = changed === this.to ? this.from : this.to;
      if (changed.value === "") other.value = "";
      else if (other.value === "") other.value = changed.value;
      change(changed.value === "" ? null : [Number(this.from.value), Number(this.to.value)]);
    });
  }

  /** @param {[number, number]|null} weights */
  show(weights) {
    if (this.element.contains(document.activeElement)) return;
    this.from.value = weights ? String(weights[0]) : "";
    this.to.value = weights ? String(weights[1]) : "";
  }
}
