// Rows of the filter rail, kept by key so that a row under the pointer stays the same element while counts change.
import { h } from "../dom.js";
import { count } from "../format.js";
import { icon } from "../icons.js";

/** @typedef {{element: HTMLElement, main: HTMLButtonElement, number: HTMLElement, label: HTMLElement}} Row */

const FOLDED_KEY = "lora-manager.rail";
/** @type {Set<string>} */
const folded = new Set(JSON.parse(localStorage.getItem(FOLDED_KEY) ?? "[]"));

export class Rows {
  constructor() {
    /** @type {Map<string, Row>} */
    this.kept = new Map();
  }

  /**
   * The row of a key, made when there is none yet.
   * @param {string} key "list/value"
   * @param {string} text
   * @param {(event: MouseEvent) => void} click
   * @param {{sign?: Node|null, leaveOut?: () => void, end?: HTMLElement, name?: string}} [options] end: a control shown instead
   *     of the count under the pointer; name: in full, where the text is only a part of it
   * @returns {Row}
   */
  row(key, text, click, { sign = null, leaveOut, end, name = text } = {}) {
    const kept = this.kept.get(key);
    if (kept) return kept;
    const number = h("span", { class: "number" });
    const label = h("span", { class: "label" }, text);
    const main = h("button", { class: "option-main", type: "button", title: name, onclick: click }, sign, label, number);
    const element = h("div", { class: "option", "data-key": key }, main, end ?? null);
    if (leaveOut) {
      element.append(h("button", { class: "at-end", type: "button", title: "Leave out (Alt+click)", "aria-label": `Leave out ${name}`, onclick: leaveOut }, icon("minus")));
    }
    const row = { element, main, number, label };
    this.kept.set(key, row);
    return row;
  }
}

/** Show whether a row's filter is on, and how many it has; null: not counted. */
export function mark(/** @type {Row} */ row, /** @type {boolean} */ on, /** @type {number|null} */ of) {
  row.main.setAttribute("aria-pressed", String(on));
  row.element.classList.toggle("on", on);
  row.number.textContent = of === null ? "" : count(of);
  row.element.classList.toggle("none", of === 0 && !on);
}

/** Put rows in this order; with `keep`, rows that are there already stay where they are and new ones go to the end. */
export function arrange(/** @type {HTMLElement} */ place, /** @type {HTMLElement[]} */ rows, /** @type {boolean} */ keep) {
  const there = [...place.children];
  if (there.length === rows.length && there.every((row, at) => row === rows[at])) return;
  if (keep && there.length) place.append(...rows.filter((row) => row.parentElement !== place));
  else place.replaceChildren(...rows);
}

/**
 * A part of the rail with a heading that folds it.
 * @param {string} name
 * @param {string} title
 * @param {Node[]} content
 * @param {HTMLElement} [tool] a control beside the heading
 */
export function foldable(name, title, content, tool) {
  const body = h("div", { class: "section-body", hidden: folded.has(name) }, ...content);
  const head = h("button", { class: "fold", type: "button", "aria-expanded": String(!folded.has(name)) }, icon("down"), title);
  head.addEventListener("click", () => {
    if (folded.has(name)) folded.delete(name);
    else folded.add(name);
    localStorage.setItem(FOLDED_KEY, JSON.stringify([...folded]));
    body.hidden = folded.has(name);
    head.setAttribute("aria-expanded", String(!body.hidden));
  });
  return h("section", { class: `section-${name}`, "aria-label": title }, h("div", { class: "section-head" }, h("h2", null, head), tool ?? null), body);
}

/** The button that folds and unfolds a row of a tree. */
export function twisty(/** @type {Row} */ row, /** @type {string} */ name, /** @type {boolean} */ children, /** @type {boolean} */ open, /** @type {() => void} */ toggle) {
  let button = /** @type {HTMLButtonElement|null} */ (row.element.querySelector(".twisty"));
  if (!button) {
    button = h("button", { class: "twisty", type: "button", onclick: toggle }, icon("right"));
    row.element.prepend(button);
  }
  button.style.visibility = children ? "visible" : "hidden";
  button.setAttribute("aria-expanded", String(open));
  button.setAttribute("aria-label", `${open ? "Fold" : "Unfold"} ${name}`);
}
