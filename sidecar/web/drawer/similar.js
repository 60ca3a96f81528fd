// The tab "Similar": LoRAs like this one, by what is said of them, by use, and by weights; and what goes with it.
import { ApiError, request } from "../api.js";
import { h } from "../dom.js";
import { live } from "../events.js";
import { hue, titleOf, weight as shown } from "../format.js";
import { icon } from "../icons.js";
import { marked, opener, thumb, trouble } from "../pages/parts.js";
import { say, thumbs } from "../recommend/opinion.js";
import { section } from "./sections.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {import("../types.js").Recommendation} Recommendation */
/** @typedef {"text"|"use"|"weights"} Kind */

const KEPT = "lora-manager-similar";
const MOST = 12;
/** The sidecar is still preparing: asked again after so many milliseconds. */
const AGAIN = 2_000;
/** @type {[Kind, string, string][]} */
const KINDS = [
  ["text", "Text", "What is said of them: names, words, tags, descriptions"],
  ["use", "Use", "The LoRAs and prompts that they are used with"],
  ["weights", "Weights", "What they do to a checkpoint, whatever they are called"],
];

export class SimilarTab {
  constructor() {
    /** @type {Detail|null} */
    this.detail = null;
    this.asked = "";
    /** @type {AbortController|null} */
    this.asking = null;
    this.by = new Set(kept());
    this.switches = KINDS.map(([kind, text, title]) => {
      const button = h("button", { class: "switch", type: "button", title, "aria-pressed": String(this.by.has(kind)) }, text);
      button.addEventListener("click", () => this.#toggle(kind, button));
      return button;
    });
    this.alike = new Rows();
    this.company = new Rows();
    const head = h("div", { class: "switches", role: "group", "aria-label": "Similar by" }, ...this.switches);
    const similar = section("Similar", this.alike.element);
    similar.querySelector(".field-head")?.append(head);
    this.element = h("div", { class: "similar" }, similar, section("Goes with", this.company.element));
    for (const type of ["feedback.changed", "library.sketches", "recommendations.changed", "reset"]) live.on(type, () => this.element.isConnected && this.#again());
  }

  show(/** @type {Detail} */ detail) {
    const other = this.detail?.id !== detail.id;
    this.detail = detail;
    if (!other && this.asked) return; // an edit of this LoRA changes little of what is like it
    this.alike.wait();
    this.company.wait();
    void this.#ask();
  }

  leave() {
    this.asking?.abort();
    this.detail = null;
    this.asked = "";
  }

  #toggle(/** @type {Kind} */ kind, /** @type {HTMLElement} */ button) {
    if (!this.by.delete(kind)) this.by.add(kind);
    button.setAttribute("aria-pressed", String(this.by.has(kind)));
    localStorage.setItem(KEPT, JSON.stringify([...this.by]));
    this.#again();
  }

  #again() {
    if (this.detail) void this.#ask();
  }

  async #ask() {
    const { detail } = this;
    if (!detail) return;
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.asked = String(detail.id);
    const by = KINDS.filter(([kind]) => this.by.has(kind)).map(([kind]) => `&by=${kind}`);
    const like = () => request("GET", `loras/${detail.id}/similar?limit=${MOST}${by.join("")}`, { signal });
    const withIt = () => request("POST", "recommendations/companions", { body: { loras: [detail.name], limit: MOST }, signal });
    const asks = [this.alike.fill(by.length ? like : null, "Choose what they should be alike in.", "Nothing like it is known.", signal, (item) => this.#row(item, "similar"))];
    asks.push(this.company.fill(withIt, "", "It is not known to go with anything.", signal, (item) => this.#row(item, "companion")));
    await Promise.all(asks);
  }

  /** @param {Recommendation} item @param {"similar"|"companion"} kind */
  #row(item, kind) {
    const { lora, reasons, weight } = item;
    const degrees = hue(lora.base_model);
    const base = lora.base_model ? h("span", { class: "alike-base" }, h("i", { class: degrees < 0 ? "dot grey" : "dot", style: { "--hue": Math.max(0, degrees) } }), lora.base_model) : null;
    const why = h("ul", { class: "alike-why" }, ...reasons.map(({ kind: source, text }) => h("li", { "data-kind": source }, text)));
    const occasion = () => ({ kind, subject: this.detail ? [this.detail.name] : [] });
    const row = h("li", { class: "alike", "data-name": lora.name }, thumb(lora), h("div", { class: "alike-main" }, h("div", { class: "alike-head" }, opener(lora), base), why));
    const buttons = thumbs(lora, occasion, { refused: () => row.remove(), back: () => this.#again() });
    if (kind === "companion") buttons.unshift(this.#adder(item, occasion));
    else row.querySelector(".alike-head")?.append(h("span", { class: "alike-score", title: "How alike they are in all that is switched on: 1 is the same" }, shown(Math.min(0.99, Math.max(0.01, item.score)))));
    row.append(h("div", { class: "alike-do" }, ...buttons));
    if (weight !== null && kind === "companion") row.querySelector(".alike-head")?.append(h("span", { class: "alike-score", title: "The weight that it usually has" }, shown(weight)));
    return row;
  }

  /** @param {Recommendation} item @param {() => import("../recommend/opinion.js").Occasion} occasion */
  #adder({ lora, weight }, occasion) {
    const name = titleOf(lora);
    const button = h("button", { class: "icon-button tiny", type: "button", title: "Add both to the prompt in the composer", "aria-label": `Add ${name} in the composer` }, icon("plus"));
    button.addEventListener("click", async () => {
      if (!this.detail) return;
      void say(lora, "chosen", occasion()).catch(() => {}); // only a hint for later
      const { addToComposer } = await import("../compose/open.js");
      addToComposer([{ name: this.detail.name, weight: this.detail.weight }, { name: lora.name, weight }]);
    });
    return button;
  }
}

/** One list, with what stands there while it is asked for, when it is empty and when it failed. */
class Rows {
  constructor() {
    this.list = h("ul", { class: "alike-rows" });
    this.note = h("p", { class: "hint", role: "status" });
    this.element = h("div", null, this.list, this.note);
  }

  wait() {
    this.list.replaceChildren(h("li", { class: "skeleton lines" }));
    this.note.textContent = "";
  }

  /**
   * @param {(() => Promise<{items: Recommendation[], notes: string[]}>)|null} ask null: there is nothing to ask
   * @param {string} unasked @param {string} empty @param {AbortSignal} signal
   * @param {(item: Recommendation) => HTMLElement} draw
   */
  async fill(ask, unasked, empty, signal, draw) {
    if (!ask) return this.#put([], [unasked]);
    try {
      const { items, notes } = await ask();
      if (!signal.aborted) this.#put(items.map(draw), items.length ? notes : notes.length ? notes : [empty]);
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!(error instanceof ApiError)) throw error;
      const again = () => void this.fill(ask, unasked, empty, signal, draw);
      if (error.status === 503) {
        this.#put([h("li", { class: "skeleton lines" })], [error.message]);
        setTimeout(() => !signal.aborted && again(), AGAIN);
      } else this.#put([trouble(error.message, again)], []);
    }
    return undefined;
  }

  #put(/** @type {HTMLElement[]} */ rows, /** @type {string[]} */ notes) {
    this.list.replaceChildren(...rows);
    this.note.replaceChildren(...marked(notes.join(" ")));
    this.note.hidden = !notes.length;
  }
}

/** @returns {Kind[]} what was switched on last time */
function kept() {
  const all = KINDS.map(([kind]) => kind);
  try {
    const known = JSON.parse(localStorage.getItem(KEPT) ?? "null");
    return Array.isArray(known) ? all.filter((kind) => known.includes(kind)) : all;
  } catch {
    return all;
  }
}
