// Completion while a prompt is typed: LoRAs, sets, draws and trigger words, in a list at the caret.
import { ApiError, request } from "../api.js";
import { Combo } from "../combo.js";
import { unitsOf } from "./reader.js";
import { suggestion } from "./suggestion.js";

/** @typedef {import("../types.js").Completion} Completion */

/** How much of a long prompt around the caret is looked at. */
const BEFORE = 4000;
const AFTER = 400;
const MOST = 12;

/**
 * @param {HTMLTextAreaElement} box
 * @param {() => DOMRect} place where the caret is
 */
export function completeIn(box, place) {
  let from = 0;
  let to = 0;
  /** @type {Combo<Completion>} */
  const combo = new Combo(box, {
    label: "Completion",
    className: "lora-suggest",
    wait: 40,
    place,
    ask: async (text, caret) => {
      if (box.selectionStart !== box.selectionEnd) return [];
      const start = Math.max(0, caret - BEFORE);
      const sent = text.slice(start, caret + AFTER);
      try {
        const answer = await request("POST", "prompts/complete", { body: { text: sent, at: [...text.slice(start, caret)].length, limit: MOST } });
        const units = unitsOf(sent);
        [from, to] = [start + units(answer.start), start + units(answer.end)];
        return answer.items;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        return []; // the page tells of a sidecar that is gone
      }
    },
    draw: suggestion,
    choose: ({ kind, text }) => {
      box.setRangeText(text, from, to, "end");
      box.dispatchEvent(new Event("input", { bubbles: true }));
      if (kind !== "field") combo.close();
    },
  });
}
