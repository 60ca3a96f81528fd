// Short filters side by side instead of in rows: colour labels, rating, kind of network, NSFW level.
import { h } from "../dom.js";
import { count } from "../format.js";
import { icon } from "../icons.js";
import { LABELS, LEVELS } from "../drawer/marks.js";
import { query } from "../query.js";
import { foldable } from "./rows.js";

/** @typedef {import("../types.js").Facets} Facets */
/** @typedef {"label"|"rating"|"network"|"nsfw"} PickList */

const TITLES = { label: "Label", rating: "Rating", network: "Network", nsfw: "NSFW level" };
const NUMBERED = ["rating", "nsfw"];

const capital = (/** @type {string} */ text) => text.charAt(0).toUpperCase() + text.slice(1);

/** What a value of these lists is called. */
export function pickName(/** @type {PickList} */ list, /** @type {string} */ value) {
  if (list === "label") return capital(value);
  if (list === "rating") return value === "1" ? "1 star" : `${value} stars`;
  if (list === "nsfw" && value === "0") return "Unknown";
  if (list === "nsfw") return LEVELS.find(([level]) => String(level) === value)?.[1] ?? value;
  return value;
}

export class Picks {
  /** @param {PickList} list */
  constructor(list) {
    this.list = list;
    /** Values seen so far, with their present counts. @type {Map<string, number>} */
    this.known = new Map();
    /** @type {Map<string, HTMLElement>} */
    this.buttons = new Map();
    this.place = h("div", { class: "picks" });
    this.element = foldable(list, TITLES[list], [this.place]);
    this.element.hidden = true;
  }

  take(/** @type {Facets} */ facets) {
    const now = new Map(facets[this.list].map(({ value, count: of }) => [String(value), of]));
    for (const value of this.known.keys()) this.known.set(value, now.get(value) ?? 0);
    for (const [value, of] of now) this.known.set(value, of);
  }

  draw() {
    const on = query.filters[this.list];
    for (const value of on) if (!this.known.has(value)) this.known.set(value, 0);
    const values = [...this.known.keys()].filter((value) => value !== "");
    if (this.list === "label") values.sort((a, b) => LABELS.indexOf(a) - LABELS.indexOf(b));
    else if (NUMBERED.includes(this.list)) values.sort((a, b) => (this.list === "rating" ? Number(b) - Number(a) : Number(a) - Number(b)));
    const unknownOnly = this.list === "nsfw" && values.every((value) => value === "0");
    const single = this.list === "network" && values.length < 2;
    this.element.hidden = values.length === 0 || ((unknownOnly || single) && on.length === 0);
    const buttons = values.map((value) => this.#button(value, on.includes(value)));
    if (this.place.childElementCount !== buttons.length) this.place.replaceChildren(...buttons);
  }

  #button(/** @type {string} */ value, /** @type {boolean} */ on) {
    const { list } = this;
    let button = this.buttons.get(value);
    if (!button) {
      const sign = list === "label" ? h("span", { class: `swatch ${value}` }) : list === "rating" ? icon("star") : null;
      const text = list === "rating" ? value : list === "label" ? null : pickName(list, value);
      button = h("button", { class: "pick", type: "button", title: pickName(list, value), "data-key": `${list}/${value}` }, sign, text, h("span", { class: "number" }));
      button.addEventListener("click", () => query.toggle(list, value));
      this.buttons.set(value, button);
    }
    const of = this.known.get(value) ?? 0;
    button.classList.toggle("on", on);
    button.classList.toggle("none", of === 0 && !on);
    button.setAttribute("aria-pressed", String(on));
    button.setAttribute("aria-label", `${pickName(list, value)}, ${count(of)}`);
    const number = button.querySelector(".number");
    if (number) number.textContent = count(of);
    return button;
  }
}
