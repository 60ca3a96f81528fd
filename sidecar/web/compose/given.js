// What the host will get for the prompt, and what is said about it; asked for only while it is looked at.
import { ApiError, request } from "../api.js";
import { copy } from "../actions.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { draft } from "./draft.js";

/** @typedef {import("../types.js").Composed} Composed */
/** @typedef {import("../types.js").PromptNote} Note */

const KEPT = "compose-given";
const WORDS = "compose-given-words";
const MOST_NOTES = 40;

export class Given {
  constructor() {
    this.text = h("div", { class: "given-text" });
    this.negative = h("div", { class: "given-text" });
    this.notes = h("ul", { class: "compose-problems", "aria-label": "What is said about it" });
    this.words = h("input", { type: "checkbox", checked: localStorage.getItem(WORDS) !== "off" });
    this.words.addEventListener("change", () => {
      localStorage.setItem(WORDS, this.words.checked ? "on" : "off");
      this.draw();
    });
    this.copyButton = h("button", { class: "quiet", type: "button" }, icon("copy"), "Copy");
    this.copyButton.addEventListener("click", () => void copy(this.text.textContent ?? ""));
    const line = h("div", { class: "given-line" }, h("label", { class: "choice" }, this.words, "Add missing trigger words"), this.copyButton);
    this.negativePart = h("div", null, h("h3", null, "Negative"), this.negative);
    this.element = h("details", { class: "compose-given", open: localStorage.getItem(KEPT) === "open" }, h("summary", null, icon("right"), "What the host gets"), line, this.text, this.negativePart, this.notes);
    this.element.addEventListener("toggle", () => {
      localStorage.setItem(KEPT, this.element.open ? "open" : "closed");
      this.draw();
    });
    this.turn = 0;
  }

  draw() {
    if (this.element.open) void this.#ask();
  }

  async #ask() {
    this.turn += 1;
    const { turn } = this;
    const { prompt, negative_prompt } = draft.state;
    try {
      /** @type {Composed} */
      const answer = await request("POST", "prompts/compose", { body: { prompt, negative_prompt, add_trigger_words: this.words.checked } });
      if (turn === this.turn) this.#show(answer);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn === this.turn) this.notes.replaceChildren(h("li", { class: "compose-problem is-warning" }, h("span", { class: "compose-say" }, icon("warn"), error.message)));
    }
  }

  #show(/** @type {Composed} */ { prompt, negative_prompt, notes, stop }) {
    this.text.textContent = prompt;
    this.text.classList.toggle("empty", !prompt);
    this.negative.textContent = negative_prompt;
    this.negativePart.hidden = !negative_prompt;
    this.copyButton.hidden = !prompt;
    const rows = notes.slice(0, MOST_NOTES).map(row);
    if (stop) rows.unshift(row({ level: "error", code: "stop", message: "This job would be stopped before anything is generated, as the settings say.", lora: null }));
    this.notes.replaceChildren(...rows);
  }
}

function row(/** @type {Note} */ { level, code, message }) {
  return h("li", { class: `compose-problem is-${level}`, "data-code": code }, h("span", { class: "compose-say" }, icon(level === "info" ? "info" : "warn"), h("span", null, h("span", { class: "offscreen" }, `${level}: `), message)));
}
