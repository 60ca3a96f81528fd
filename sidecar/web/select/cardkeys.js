// Single keys that act on the selected LoRAs, or without any on the card that the keyboard is on.
import { changeOne, toggleFavorite } from "../actions.js";
import { confirmed } from "../ask.js";
import { deleteLoras } from "../fileactions.js";
import { titleOf } from "../format.js";
import { library } from "../library.js";
import { openMenu } from "../popup.js";
import { labelItems, trash } from "./bar.js";
import { changeSelected } from "./bulk.js";
import { selection } from "./selection.js";

/** @typedef {import("../types.js").Lora} Lora */

/**
 * @param {KeyboardEvent} event
 * @param {{lora: Lora|undefined, index: number, anchor: HTMLElement|undefined}} at the card the keyboard is on; anchor: where a
 *     menu opens
 * @returns {boolean} whether the key was one of these
 */
export function cardKey(event, { lora, index, anchor }) {
  const { key } = event;
  if (key === "x") {
    selection.toggle(index);
    return lora !== undefined;
  }
  if (!/^[0-5flh]$|^Delete$/.test(key) || (!lora && !selection.count)) return false;
  if (selection.count) onSelected(key, anchor);
  else if (lora) onOne(key, lora, anchor);
  return true;
}

function onSelected(/** @type {string} */ key, /** @type {HTMLElement|undefined} */ anchor) {
  const set = (/** @type {Record<string, unknown>} */ values, /** @type {string} */ text) => void changeSelected({ set: values }, (what) => `${what} ${text}`);
  const { loaded } = selection;
  if (key === "f") {
    const favorite = loaded.some((lora) => !lora.favorite);
    set({ favorite }, favorite ? "made favourites" : "no favourites any more");
  } else if (key === "h") {
    const hidden = loaded.some((lora) => !lora.hidden);
    set({ hidden }, hidden ? "hidden" : "shown again");
  } else if (key === "l" && anchor) openMenu(anchor, "Label", labelItems((label) => set({ label }, label ? `labelled ${label}` : "without a label")));
  else if (key === "Delete") void trash();
  else if (key !== "l") set({ rating: Number(key) || null }, Number(key) ? `rated ${key}` : "without a rating");
}

function onOne(/** @type {string} */ key, /** @type {Lora} */ lora, /** @type {HTMLElement|undefined} */ anchor) {
  const title = titleOf(lora);
  if (key === "f") void toggleFavorite(lora);
  else if (key === "h") void hide(lora);
  else if (key === "l" && anchor) {
    const choose = (/** @type {string|null} */ label) => void changeOne(lora, { label }, label ? `${title} labelled ${label}` : `${title} without a label`);
    openMenu(anchor, "Label", labelItems(choose, lora.label));
  } else if (key === "Delete") void deleteOne(lora);
  else if (key !== "l") {
    const rating = Number(key) || null;
    if (rating !== lora.rating) void changeOne(lora, { rating }, rating ? `${title} rated ${rating}` : `${title} without a rating`);
  }
}

/** What is hidden leaves the list, unless hidden ones are shown. */
async function hide(/** @type {Lora} */ lora) {
  const hidden = !lora.hidden;
  const done = await changeOne(lora, { hidden }, `${titleOf(lora)} ${hidden ? "hidden" : "shown again"}`, { tell: true });
  if (done && hidden) await library.reload({ keepPlace: true });
}

async function deleteOne(/** @type {Lora} */ lora) {
  if (lora.state === "missing") {
    const yes = await confirmed({ title: "Take it out of the list?", text: ["The file is missing. What you said about it is kept, and is there again if the file comes back."], action: "Take out" });
    if (!yes) return;
  }
  await deleteLoras({ ids: [lora.id] }, 1);
  selection.drop([lora.id]);
  await library.reload({ keepPlace: true });
}
