// What the user thinks of a recommendation, and the buttons that say it. It counts in later ones, and can be taken back.
import { request } from "../api.js";
import { attempt } from "../ask.js";
import { h } from "../dom.js";
import { titleOf } from "../format.js";
import { icon } from "../icons.js";
import { toast } from "../toast.js";

/**
 * @typedef {import("../types.js").Lora} Lora
 * @typedef {{kind: "prompt"|"similar"|"companion", subject: string|string[]}} Occasion what it was recommended for: a prompt, or LoRAs by name
 */

/** @param {Lora} lora @param {"up"|"down"|"chosen"|"ignored"} verdict @param {Occasion} occasion */
export const say = (lora, verdict, { kind, subject }) => request("POST", "recommendations/feedback", { body: { verdict, kind, lora_id: lora.id, subject } });

/**
 * "More like this" and "Not this".
 * @param {Lora} lora
 * @param {() => Occasion} occasion
 * @param {{refused?: () => void, back: () => void}} after what the row does when it is refused, and when something is taken back
 */
export function thumbs(lora, occasion, { refused, back }) {
  const name = titleOf(lora);
  const up = h("button", { class: "icon-button tiny", type: "button", title: "Good: recommended more for the like of this", "aria-label": `Good: ${name}` }, icon("good"));
  const down = h("button", { class: "icon-button tiny", type: "button", title: "Not this: recommended less for the like of this", "aria-label": `Not ${name}` }, icon("bad"));
  const press = async (/** @type {HTMLButtonElement} */ button, /** @type {"up"|"down"} */ verdict) => {
    const entry = await attempt(() => say(lora, verdict, occasion()), { button, failed: "Not noted" });
    if (!entry) return;
    const undo = () => void attempt(() => request("DELETE", `recommendations/feedback/${entry.id}`), { failed: "Not taken back" }).then(back);
    toast(verdict === "up" ? `${name} is recommended more for the like of this.` : `${name} is recommended less for the like of this.`, { action: { label: "Undo", run: undo } });
    if (verdict === "down") refused?.();
    else button.setAttribute("aria-pressed", "true");
  };
  up.addEventListener("click", () => void press(up, "up"));
  down.addEventListener("click", () => void press(down, "down"));
  return [up, down];
}
