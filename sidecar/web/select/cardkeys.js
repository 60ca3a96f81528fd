// Single keys that act on the selected LoRAs, or without any on the card that the keyboard is on.
import { changeOne, toggleFavorite } from "../actions.js";
import { confirmed } from "../ask.js";
import { deleteLoras } from "../fileactions.js";
import { titleOf } from "../format.js";
import { library } from "../library.js";
import { openMenu } from "../popup.js";
import { labelItems, trash } from "./bar.js";
import { markSelected, markText, toggleSelected } from "./bulk.js";
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
  if (key === "f") void toggleSelected("favorite");
  else if (key === "h") void toggleSelected("hidden");
  else if (key === "l" && anchor) openMenu(anchor, "Label", labelItems((label) => void markSelected({ label })));
  else if (key === "Delete") void trash();
  else if (key !== "l") void markSelected({ rating: Number(key) || null });
}

function onOne(/** @type {string} */ key, /** @type {Lora} */ lora, /** @type {HTMLElement|undefined} */ anchor) {
  const title = titleOf(lora);
  if (key === "f") void toggleFavorite(lora);
  else if (key === "h") void hide(lora);
  else if (key === "l" && anchor) {
    const choose = (/** @type {string|null} */ label) => void changeOne(lora, { label }, `${title} ${markText({ label })}`);
    openMenu(anchor, "Label", labelItems(choose, lora.label));
  } else if (key === "Delete") void deleteOne(lora);
  else if (key !== "l") {
    const rating = Number(key) || null;
    if (rating !== lora.rating) void changeOne(lora, { rating }, `${title} ${markText({ rating })}`);
  }
}

/** What is hidden leaves the list, unless hidden ones are shown. */
async function hide(/** @type {Lora} */ lora) {
  const hidden = !lora.hidden;
  const done = await changeOne(lora, { hidden }, `${titleOf(lora)} ${markText({ hidden })}`, { tell: true });
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
