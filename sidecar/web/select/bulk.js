// One change to many LoRAs: asked for at once, told with a way back, and the list brought up to date.
import { request } from "../api.js";
import { attempt } from "../ask.js";
import { plural } from "../format.js";
import { library } from "../library.js";
import { pickName } from "../rail/picks.js";
import { offerUndo } from "../undo.js";
import { toast } from "../toast.js";
import { selection } from "./selection.js";

/**
 * @typedef {object} Change as `POST loras/bulk` takes it
 * @property {string[]} [add_tags]
 * @property {string[]} [remove_tags]
 * @property {Record<string, unknown>} [set]
 * @property {number} [add_to_collection]
 * @property {number} [remove_from_collection]
 */

/**
 * Change every selected LoRA. While it runs the bar shows it (`busy`), and its task shows in the header.
 * @param {Change} change
 * @param {(what: string) => string} told what was done; gets "1 LoRA", "3,000 LoRAs"
 */
export async function changeSelected(change, told) {
  const { count } = selection;
  if (!count) return;
  selection.emit("busy", { done: 0, total: 0 });
  try {
    const answer = await attempt(async () => request("POST", "loras/bulk", { body: { ...(await selection.chosen()), ...change } }), { failed: "Not changed" });
    if (!answer) return;
    if (answer.action === null || answer.action === undefined) toast(answer.total === 1 ? "It is so already." : "They are all so already.");
    else offerUndo(answer, told(plural(answer.changed, "LoRA")));
    await library.reload({ keepPlace: true });
  } finally {
    selection.emit("busy", null);
  }
}

/** @typedef {{favorite?: boolean, hidden?: boolean, rating?: number|null, label?: string|null, nsfw?: number}} MarkValues */

/** What a mark did, to stand after its subject: "3 LoRAs" … */
export function markText(/** @type {MarkValues} */ { favorite, hidden, rating, label, nsfw }) {
  if (favorite !== undefined) return favorite ? "made favourites" : "no favourites any more";
  if (hidden !== undefined) return hidden ? "hidden" : "shown again";
  if (rating !== undefined) return rating ? `rated ${pickName("rating", String(rating))}` : "without a rating";
  if (label !== undefined) return label ? `labelled ${label}` : "without a label";
  return nsfw ? `marked ${pickName("nsfw", String(nsfw))}` : "without a level";
}

/** Put a mark on everything that is selected. */
export const markSelected = (/** @type {MarkValues} */ values) => changeSelected({ set: values }, (what) => `${what} ${markText(values)}`);

/** Turn a mark on, or off when all that can be seen have it. */
export const toggleSelected = (/** @type {"favorite"|"hidden"} */ name) => {
  const { loaded } = selection;
  return markSelected({ [name]: !loaded.length || loaded.some((lora) => !lora[name]) });
};
