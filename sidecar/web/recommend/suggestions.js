// LoRAs that fit a prompt, each with why: asked for while it is typed, the latest text wins.
import { ApiError, request } from "../api.js";
import { attempt } from "../ask.js";
import { debounce, h } from "../dom.js";
import { hue, titleOf, weight as shown } from "../format.js";
import { icon } from "../icons.js";
import { opener, thumb } from "../pages/parts.js";
import { toast } from "../toast.js";

/** @typedef {import("../types.js").Recommendation} Recommendation */

const WAIT = 450;
const MOST = 6;
/** Less likely ones are not worth a look. */
const LEAST = 0.01;

export class Suggestions {
  /** @param {(item: Recommendation) => void} take what a click on "Add" does */
  constructor(take) {
    this.take = take;
    this.list = h("ul", { class: "suggestion-rows", "aria-label": "Suggestions" });
    this.note = h("p", { class: "hint", role: "status" });
    this.element = h("section", { class: "suggestions", hidden: true }, h("h2", null, "Suggestions"), this.list, this.note);
    this.asked = "";
    this.running = new AbortController();
    this.soon = debounce(() => void this.#ask(), WAIT);
  }

  /** The prompt is this now. @param {string} prompt */
  show(prompt) {
    if (prompt === this.asked) return;
    this.asked = prompt;
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
    const prompt = this.asked;
    if (!prompt.replace(/<[^<>]*>/g, "").trim()) return this.#draw([], "");
    try {
      const { items, notes } = await request("POST", "recommendations/prompt", { body: { prompt, limit: MOST }, signal });
      const worth = items.filter((/** @type {Recommendation} */ { reasons, score }) => reasons.length && score >= LEAST);
      if (!signal.aborted) this.#draw(worth, worth.length ? notes.join(" ") : "");
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!(error instanceof ApiError)) throw error;
      this.#draw([], error.status === 503 ? error.message : ""); // the page tells of a sidecar that is gone
    }
    return undefined;
  }

  /** @param {Recommendation[]} items @param {string} note */
  #draw(items, note) {
    this.list.replaceChildren(...items.map((item) => this.#row(item)));
    this.note.textContent = note;
    this.note.hidden = !note;
    this.element.hidden = !items.length && !note;
  }

  #row(/** @type {Recommendation} */ item) {
    const { lora, reasons, weight } = item;
    const name = titleOf(lora);
    const degrees = lora.base_model ? hue(lora.base_model) : -1;
    const base = h("span", { class: "chip-base" }, h("i", { class: degrees < 0 ? "dot grey" : "dot", style: { "--hue": Math.max(0, degrees) } }), lora.base_model);
    const why = reasons.map(({ text }) => text).join(" · ");
    const add = h("button", { class: "small-button", type: "button", "aria-label": `Add ${name}`, title: weight === null ? "" : `With a weight of ${shown(weight)}` }, icon("plus"), "Add");
    add.addEventListener("click", () => {
      this.take(item);
      void say(lora, "chosen", this.asked).catch(() => {}); // only a hint for later
    });
    const not = h("button", { class: "icon-button", type: "button", title: "Not this: suggested less for prompts like this", "aria-label": `Not ${name}` }, icon("close"));
    not.addEventListener("click", () => void this.#refuse(item, not));
    return h("li", { class: "suggestion", "data-name": lora.name }, thumb(lora), h("div", { class: "chip-main" }, opener(lora, name), h("div", { class: "chip-sub" }, base, h("span", { class: "suggestion-why", title: why }, reasons[0]?.text ?? ""))), add, not);
  }

  /** "Not this": gone now, less likely later; with a way back. @param {Recommendation} item @param {HTMLButtonElement} button */
  async #refuse({ lora }, button) {
    const entry = await attempt(() => say(lora, "down", this.asked), { button, failed: "Not noted" });
    if (!entry) return;
    button.closest("li")?.remove();
    const back = () => void attempt(() => request("DELETE", `recommendations/feedback/${entry.id}`), { failed: "Not taken back" }).then(() => this.again());
    toast(`${titleOf(lora)} is suggested less for prompts like this.`, { action: { label: "Undo", run: back } });
  }
}

/** What the user thinks of a suggestion. @param {import("../types.js").Lora} lora @param {"down"|"chosen"} verdict @param {string} subject the prompt it was made for */
const say = (lora, verdict, subject) => request("POST", "recommendations/feedback", { body: { verdict, kind: "prompt", lora_id: lora.id, subject } });
