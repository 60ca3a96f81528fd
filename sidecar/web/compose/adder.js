// Adds a LoRA or a set to the prompt: typed by any part of its name, title or words, with pictures to choose from.
import { ApiError, request } from "../api.js";
import { Combo } from "../combo.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { draft } from "./draft.js";
import { inserted } from "./edits.js";
import { reader } from "./reader.js";
import { suggestion } from "./suggestion.js";

/** @typedef {import("../types.js").Completion} Completion */
/** @typedef {Completion & {tag: string}} Choice */

const MOST = 12;

export class Adder {
  constructor() {
    const box = h("input", { type: "text", class: "compose-add", placeholder: "Add a LoRA or a set", "aria-label": "Add a LoRA or a set", spellcheck: false, maxLength: 200 });
    this.element = h("div", { class: "compose-adder" }, icon("plus"), box);
    /** @type {Combo<Choice>} */
    const combo = new Combo(box, {
      label: "LoRAs and sets",
      className: "lora-suggest",
      ask: async (text) => {
        try {
          const found = await choices(text);
          combo.say(...(found.length || !text.trim() ? [] : ["Nothing is called like that."]));
          return found;
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          combo.say(error.message);
          return [];
        }
      },
      draw: suggestion,
      choose: ({ tag }) => {
        box.value = "";
        combo.say();
        draft.set({ prompt: inserted(draft.state.prompt, tag, undefined, reader.current ? reader.chips : []) });
      },
    });
    box.addEventListener("focus", () => combo.ask(0));
    box.addEventListener("blur", () => combo.say());
  }
}

/** LoRAs like a text and sets like it, those that fit best first. @param {string} text @returns {Promise<Choice[]>} @throws {ApiError} */
async function choices(text) {
  const typed = text.replace(/[<>:\r\n]/g, " ").trim();
  const ask = async (/** @type {string} */ begun, /** @type {number} */ limit) => {
    const whole = begun + typed;
    const answer = await request("POST", "prompts/complete", { body: { text: whole, at: [...whole].length, limit } });
    return answer.items.map((/** @type {Completion} */ item) => ({ ...item, tag: [...whole].slice(0, answer.start).join("") + item.text }));
  };
  const [loras, sets] = await Promise.all([ask("<lora:", MOST), ask("<set:", 4)]);
  return [...sets.filter((/** @type {Choice} */ { kind }) => kind === "set"), ...loras.filter((/** @type {Choice} */ { kind }) => kind === "lora")];
}
