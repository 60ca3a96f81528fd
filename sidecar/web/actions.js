// What the user does with a LoRA, wherever it is clicked: into the prompt or the clipboard, marks on it.
import { ApiError, editLora } from "./api.js";
import { bridge } from "./bridge.js";
import { tagOf, titleOf } from "./format.js";
import { library } from "./library.js";
import { toast } from "./toast.js";
import { offerUndo, remember } from "./undo.js";

/** @typedef {import("./types.js").Lora} Lora */

/** Can a host load it? */
export const usable = (/** @type {Lora} */ lora) => lora.state === "ok" || lora.state === "legacy";

/** What the main action on a LoRA would do now. @returns {"Remove"|"Insert"|"Copy"|"Why?"} */
export function mainAction(/** @type {Lora} */ lora) {
  if (bridge.host && bridge.holds(lora.name)) return "Remove";
  if (!usable(lora)) return "Why?";
  return bridge.host ? "Insert" : "Copy";
}

/**
 * Do it.
 * @param {Lora} lora
 * @param {(lora: Lora) => void} explain shows the details, where a LoRA that cannot be used tells why
 */
export function runMainAction(lora, explain) {
  const action = mainAction(lora);
  const target = bridge.host?.target || "the prompt";
  if (action === "Remove") {
    bridge.remove(lora.name);
    toast(`Removed from ${target}:`, { code: lora.name });
  } else if (action === "Insert") {
    bridge.insert(lora.name, lora.weight);
    toast(`Added to ${target}:`, { code: tagOf(lora) });
  } else if (action === "Copy") void copy(tagOf(lora));
  else explain(lora);
}

/** A trigger word or training tag was clicked: into the prompt (again: out of it), or the clipboard. */
export function useWords(/** @type {string} */ words) {
  if (!bridge.host) return void copy(words);
  const there = bridge.says(words);
  bridge.append(words);
  toast(there ? "Removed from the prompt:" : "Added to the prompt:", { code: words });
}

/** Copy text and say so. */
export async function copy(/** @type {string} */ text, shown = text) {
  try {
    if (navigator.clipboard && window.isSecureContext) await navigator.clipboard.writeText(text);
    else copyWithSelection(text);
    toast("Copied", { code: shown.length > 80 ? `${shown.slice(0, 79)}…` : shown });
  } catch {
    toast("The browser did not allow copying. Select the text and press Ctrl+C.", { kind: "error" });
  }
}

/** Without https the clipboard API is not there (a phone in the local network): the old way. */
function copyWithSelection(/** @type {string} */ text) {
  const box = document.createElement("textarea");
  const focused = document.activeElement;
  box.value = text;
  box.className = "offscreen";
  document.body.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  if (!done) throw new Error("copying was refused");
}

/**
 * Change one LoRA from its card: shown at once, taken back when the sidecar refuses. Ctrl+Z undoes it.
 * @param {Lora} lora
 * @param {Partial<Lora>} change
 * @param {string} text what was done
 * @param {{tell?: boolean}} [options] tell: say it with an Undo, as the card itself does not show it
 */
export async function changeOne(lora, change, text, { tell = false } = {}) {
  const before = Object.fromEntries(Object.keys(change).map((name) => [name, Reflect.get(lora, name)]));
  library.patch(lora.id, change);
  library.emit("edited", { id: lora.id, favorite: lora.favorite });
  try {
    const saved = await editLora(lora.id, change);
    library.patch(lora.id, saved);
    if (tell) offerUndo(saved, text);
    else remember(saved.action, text);
    void library.loadFacets();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    library.patch(lora.id, before);
    library.emit("edited", { id: lora.id, favorite: lora.favorite });
    toast(`Not saved: ${error.message}`, { kind: "error", action: { label: "Retry", run: () => void changeOne(lora, change, text, { tell }) } });
    return false;
  }
}

/** Turn the star on or off. */
export const toggleFavorite = (/** @type {Lora} */ lora) =>
  changeOne(lora, { favorite: !lora.favorite }, `${titleOf(lora)} ${lora.favorite ? "is no favourite any more" : "is a favourite"}`);
