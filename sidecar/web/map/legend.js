// What the colours of the map mean, with counts: base models, or tags that the user chooses. Choosing an entry dims the others.
import { ApiError, request } from "../api.js";
import { Emitter, h } from "../dom.js";
import { count, hue } from "../format.js";
import { icon } from "../icons.js";
import { completeTag } from "../select/tagging.js";
import { unpackIds } from "./points.js";

/** @typedef {import("./points.js").Points} Points */
/** @typedef {[number, number, number]} Color */
/** @typedef {{name: string, color: Color, count: number}} Entry */

const KEPT = "map-legend";
const TAGS = 8;
const MOST = 12;
/** Colours of tags, far from each other, the first ones most; on light and on dark. */
const LIGHT = ["0c8472", "d9722c", "6b5bd2", "c2417c", "2f7fd1", "a88a00", "4d9a35", "b455c9", "d6453f", "2a9db5", "8a6d5b", "7d8a1f"];
const DARK = ["2bb8a0", "f0955a", "9a8cf5", "ec6fa5", "6aa9f2", "d9b93b", "7cc46a", "d28be3", "f07a72", "5cc4d9", "b89b88", "b0bd4f"];

/** @returns {Color} */
function color(/** @type {number} */ degrees, /** @type {number} */ saturation, /** @type {number} */ light) {
  const part = (/** @type {number} */ n) => {
    const k = (n + degrees / 30) % 12;
    return Math.round(255 * (light - saturation * Math.min(light, 1 - light) * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [part(0), part(8), part(4)];
}

const isDark = () => document.documentElement.dataset["theme"] === "dark";
/** @returns {Color} */
const grey = () => (isDark() ? [112, 119, 128] : [160, 166, 174]);
/** @returns {Color} */
function tagColor(/** @type {number} */ at) {
  const shades = isDark() ? DARK : LIGHT;
  const all = parseInt(shades[at % shades.length] ?? "", 16);
  return [all >> 16, (all >> 8) & 255, all & 255];
}
const shade = (/** @type {number} */ degrees) => (degrees < 0 ? grey() : isDark() ? color(degrees, 0.58, 0.62) : color(degrees, 0.58, 0.42));

/** Emits "change" when colours or what is chosen changed. */
export class Legend extends Emitter {
  constructor() {
    super();
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    /** @type {"base_model"|"tag"} */
    this.by = kept.by === "tag" ? "tag" : "base_model";
    /** @type {string[]|null} null until the most frequent ones are known */
    this.tags = Array.isArray(kept.tags) ? kept.tags : null;
    /** @type {Set<string>} */
    this.chosen = new Set();
    /** @type {Map<string, Set<number>>} places of points by tag */
    this.tagged = new Map();
    /** @type {Entry[]} */
    this.entries = [];
    /** @type {Points|null} */
    this.points = null;
    this.colors = new Uint8Array(0);
    /** @type {Color[]} */
    this.palette = [];
    this.list = h("div", { class: "legend-list", role: "group", "aria-label": "What the colours mean" });
    this.modes = h("div", { class: "group", role: "group", "aria-label": "Colour by" });
    this.box = h("input", { type: "text", placeholder: "Colour a tag…", "aria-label": "Colour a tag", maxLength: 200, autocomplete: "off", spellcheck: false });
    completeTag(this.box, (name) => this.#addTag(name));
    this.box.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") this.#addTag(this.box.value.trim());
    });
    const fold = h("button", { class: "icon-button tiny legend-fold", type: "button", title: "Fold", "aria-label": "Fold the legend", "aria-expanded": "true" }, icon("down"));
    this.element = h("section", { class: "map-legend", "aria-label": "Legend" }, h("header", null, this.modes, fold), this.list, this.box);
    const setFolded = (/** @type {boolean} */ folded) => {
      this.element.classList.toggle("folded", folded);
      fold.setAttribute("aria-expanded", String(!folded));
    };
    setFolded(window.matchMedia("(max-width: 720px)").matches); // there it would hide the map
    fold.addEventListener("click", () => setFolded(!this.element.classList.contains("folded")));
  }

  /** Take other points. */
  async show(/** @type {Points} */ points) {
    this.points = points;
    this.tagged.clear();
    await this.refresh();
  }

  /** Everything anew: another way to colour, other tags, another theme. */
  async refresh() {
    if (this.by === "tag") await this.#readTags();
    if (!this.points) return;
    this.#paint();
    this.draw();
    this.emit("change");
  }

  /** Which point is of an entry that is chosen; all when none is. */
  isOn(/** @type {number} */ at) {
    if (!this.chosen.size) return true;
    if (this.by === "base_model") return this.chosen.has(this.points?.bases[this.points.base[at] ?? 0] ?? "");
    for (const name of this.chosen) if (this.tagged.get(name)?.has(at)) return true;
    return false;
  }

  async #readTags() {
    const { points } = this;
    if (!points) return;
    try {
      this.tags ??= (await request("GET", `tags?limit=${TAGS}`)).items.map((/** @type {{name: string}} */ { name }) => name);
      await Promise.all(
        (this.tags ?? []).map(async (name) => {
          if (this.tagged.has(name)) return;
          const { ids } = await request("GET", `recommendations/map/ids?${new URLSearchParams({ tag: name })}`);
          const places = new Set();
          for (const id of unpackIds(ids)) {
            const at = points.places.get(id);
            if (at !== undefined) places.add(at);
          }
          if (this.points === points) this.tagged.set(name, places);
        }),
      );
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // what is known is coloured
    }
  }

  #paint() {
    const points = /** @type {Points} */ (this.points);
    this.colors = new Uint8Array(points.count);
    if (this.by === "base_model") {
      this.palette = points.bases.map((base) => shade(hue(base)));
      const counts = new Uint32Array(points.bases.length);
      for (let at = 0; at < points.count; at += 1) {
        const base = points.base[at] ?? 0;
        this.colors[at] = Math.min(255, base);
        counts[base] = (counts[base] ?? 0) + 1;
      }
      this.entries = points.bases.map((name, at) => ({ name, color: this.palette[at] ?? grey(), count: counts[at] ?? 0 }));
      this.entries.sort((a, b) => b.count - a.count);
    } else {
      /** @type {string[]} */
      const tags = this.tags ?? [];
      this.palette = [grey(), ...tags.map((_, at) => tagColor(at))];
      this.entries = tags.map((name, at) => ({ name, color: this.palette[at + 1] ?? grey(), count: this.tagged.get(name)?.size ?? 0 }));
      const order = tags.map((name, at) => ({ at, places: this.tagged.get(name) ?? new Set() })).sort((a, b) => b.places.size - a.places.size);
      for (const { at, places } of order) for (const place of places) this.colors[place] = at + 1; // the rarest last: it is seen
    }
    for (const name of this.chosen) if (!this.entries.some((entry) => entry.name === name)) this.chosen.delete(name);
  }

  draw() {
    /** @type {[Legend["by"], string][]} */
    const modes = [["base_model", "Base model"], ["tag", "Tags"]];
    this.modes.replaceChildren(
      ...modes.map(([by, text]) => {
        const button = h("button", { type: "button", "aria-pressed": String(this.by === by) }, text);
        button.addEventListener("click", () => this.#choose(by));
        return button;
      }),
    );
    this.box.hidden = this.by !== "tag" || (this.tags?.length ?? 0) >= MOST;
    this.list.replaceChildren(...this.entries.map((entry) => this.#row(entry)));
    if (!this.entries.length) this.list.append(h("p", { class: "hint" }, this.by === "tag" ? "No tags yet: choose one to colour." : "Nothing to colour."));
  }

  #row(/** @type {Entry} */ { name, color: [red, green, blue], count: many }) {
    const on = this.chosen.has(name);
    const swatch = h("span", { class: "swatch", style: { "--swatch": `rgb(${red} ${green} ${blue})` } });
    const button = h("button", { class: "legend-entry", type: "button", "aria-pressed": String(on), title: on ? "Show the others too" : "Show these before the others" }, swatch, h("span", { class: "legend-name" }, name), h("span", { class: "number" }, count(many)));
    button.classList.toggle("off", this.chosen.size > 0 && !on);
    button.addEventListener("click", () => {
      if (on) this.chosen.delete(name);
      else this.chosen.add(name);
      this.draw();
      this.emit("change");
      this.#focus(name);
    });
    const row = h("div", { class: "legend-row", "data-name": name }, button);
    if (this.by === "tag") row.append(h("button", { class: "icon-button tiny", type: "button", title: "Do not colour it", "aria-label": `Do not colour ${name}`, onclick: () => this.#dropTag(name) }, icon("close")));
    return row;
  }

  #focus(/** @type {string} */ name) {
    const button = this.list.querySelector(`[data-name="${CSS.escape(name)}"] button`);
    if (button instanceof HTMLElement) button.focus({ preventScroll: true });
  }

  #choose(/** @type {Legend["by"]} */ by) {
    if (this.by === by) return;
    this.by = by;
    this.chosen.clear();
    this.#keep();
    void this.refresh();
  }

  #addTag(/** @type {string} */ name) {
    this.box.value = "";
    if (!name || this.tags?.includes(name)) return;
    this.tags = [...(this.tags ?? []), name].slice(0, MOST);
    this.#keep();
    void this.refresh();
  }

  #dropTag(/** @type {string} */ name) {
    this.tags = (this.tags ?? []).filter((one) => one !== name);
    this.chosen.delete(name);
    this.#keep();
    void this.refresh();
  }

  #keep() {
    localStorage.setItem(KEPT, JSON.stringify({ by: this.by, tags: this.tags }));
  }
}
