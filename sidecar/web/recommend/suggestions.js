// LoRAs for the composer, each with why: those that fit the prompt, and those that go with the LoRAs it has. Asked for while it
// is typed, the latest text wins.
import { ApiError, request } from "../api.js";
import { debounce, h } from "../dom.js";
import { hue, titleOf, weight as shown } from "../format.js";
import { icon } from "../icons.js";
import { marked, opener, thumb } from "../pages/parts.js";
import { say, thumbs } from "./opinion.js";

/**
 * @typedef {import("../types.js").Recommendation} Recommendation
 * @typedef {import("./opinion.js").Occasion} Occasion
 */

const WAIT = 450;
const MOST = 6;
const MOST_COMPANIONS = 4;
/** Less likely ones are not worth a look, unless the prompt itself says so. */
const LEAST = 0.01;
const SURE = ["own", "trigger", "name"];
/** What was shown for so long while another one was taken was passed over. */
const SEEN = 10_000;

export class Suggestions {
  /** @param {(item: Recommendation) => void} take what a click on "Add" does */
  constructor(take) {
    this.take = take;
    this.fitting = new List("Suggestions");
    this.company = new List("Goes with these");
    this.element = h("div", null, this.fitting.element, this.company.element);
    this.prompt = "";
    /** @type {string[]} */
    this.names = [];
    this.running = new AbortController();
    /** When each was first shown for this prompt, and what for. @type {Map<number, {item: Recommendation, occasion: Occasion, at: number}>} */
    this.seen = new Map();
    this.soon = debounce(() => void this.#ask(), WAIT);
  }

  /** The prompt is this now, with these LoRAs. @param {string} prompt @param {string[]} names */
  show(prompt, names) {
    if (prompt === this.prompt && names.join("\n") === this.names.join("\n")) return;
    this.prompt = prompt;
    this.names = names;
    this.soon();
  }

  /** What recommendations know has changed. */
  again() {
    this.soon();
  }

  stop() {
    this.soon.cancel();
    this.running.abort();
  }

  async #ask() {
    this.running.abort();
    this.running = new AbortController();
    const { signal } = this.running;
    const { prompt, names } = this;
    const says = prompt.replace(/<[^<>]*>/g, "").trim();
    const [fitting, company] = await Promise.all([
      says ? answer("recommendations/prompt", { prompt, limit: MOST }, signal) : NOTHING,
      names.length ? answer("recommendations/companions", { loras: names, limit: MOST_COMPANIONS + MOST }, signal) : NOTHING,
    ]);
    if (signal.aborted) return;
    const worth = fitting.items.filter(({ reasons, score }) => reasons.some(({ kind }) => score >= LEAST || SURE.includes(kind)));
    const known = new Set(worth.map(({ lora }) => lora.id));
    const others = company.items.filter(({ lora, reasons }) => reasons.some(({ kind }) => kind === "use") && !known.has(lora.id)).slice(0, MOST_COMPANIONS);
    this.#draw(this.fitting, worth, { kind: "prompt", subject: prompt }, worth.length ? fitting.notes : fitting.trouble);
    this.#draw(this.company, others, { kind: "companion", subject: names }, []);
    const now = [...worth, ...others].map(({ lora }) => lora.id);
    for (const id of this.seen.keys()) if (!now.includes(id)) this.seen.delete(id);
  }

  /** @param {List} list @param {Recommendation[]} items @param {Occasion} occasion @param {string[]} notes */
  #draw(list, items, occasion, notes) {
    for (const item of items) if (!this.seen.has(item.lora.id)) this.seen.set(item.lora.id, { item, occasion, at: performance.now() });
    list.draw(items.map((item) => this.#row(item, occasion)), notes.join(" "));
  }

  /** @param {Recommendation} item @param {Occasion} occasion */
  #row(item, occasion) {
    const { lora, reasons, weight } = item;
    const name = titleOf(lora);
    const degrees = lora.base_model ? hue(lora.base_model) : -1;
    const base = h("span", { class: "chip-base" }, h("i", { class: degrees < 0 ? "dot grey" : "dot", style: { "--hue": Math.max(0, degrees) } }), lora.base_model);
    const why = reasons.map(({ text }) => text).join(" · ");
    const add = h("button", { class: "small-button", type: "button", "aria-label": `Add ${name}`, title: weight === null ? "" : `With a weight of ${shown(weight)}` }, icon("plus"), "Add");
    add.addEventListener("click", () => this.#choose(item, occasion));
    const row = h("li", { class: "suggestion", "data-name": lora.name }, thumb(lora), h("div", { class: "chip-main" }, opener(lora, name), h("div", { class: "chip-sub" }, base, h("span", { class: "suggestion-why", title: why }, reasons[0]?.text ?? ""))), add);
    const refused = () => {
      this.seen.delete(lora.id);
      row.remove();
    };
    row.append(h("div", { class: "suggestion-say" }, ...thumbs(lora, () => occasion, { refused, back: () => this.again() })));
    return row;
  }

  /** Only hints for later, so nobody waits for them. @param {Recommendation} item @param {Occasion} occasion */
  #choose(item, occasion) {
    this.take(item);
    void say(item.lora, "chosen", occasion).catch(() => {});
    this.seen.delete(item.lora.id);
    for (const [id, one] of this.seen) {
      if (performance.now() - one.at < SEEN) continue;
      void say(one.item.lora, "ignored", one.occasion).catch(() => {});
      this.seen.set(id, { ...one, at: Infinity }); // once is enough
    }
  }
}

class List {
  constructor(/** @type {string} */ title) {
    this.rows = h("ul", { class: "suggestion-rows", "aria-label": title });
    this.note = h("p", { class: "hint", role: "status" });
    this.element = h("section", { class: "suggestions", hidden: true }, h("h2", null, title), this.rows, this.note);
  }

  /** @param {HTMLElement[]} rows @param {string} note */
  draw(rows, note) {
    this.rows.replaceChildren(...rows);
    this.note.replaceChildren(...marked(note));
    this.note.hidden = !note;
    this.element.hidden = !rows.length && !note;
  }
}

/** @typedef {{items: Recommendation[], notes: string[], trouble: string[]}} Answer `trouble`: why there is none */
/** @type {Answer} */
const NOTHING = { items: [], notes: [], trouble: [] };

/** @param {string} path @param {unknown} body @param {AbortSignal} signal @returns {Promise<Answer>} */
async function answer(path, body, signal) {
  try {
    return { ...(await request("POST", path, { body, signal })), trouble: [] };
  } catch (error) {
    if (signal.aborted) return NOTHING;
    if (!(error instanceof ApiError)) throw error;
    return { ...NOTHING, trouble: error.status === 503 ? [error.message] : [] }; // the page tells of a sidecar that is gone
  }
}
