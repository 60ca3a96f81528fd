// What can be done with a set, from its card and while it is edited: into the prompt, copied, doubled, deleted.
import { useWords } from "../actions.js";
import { request } from "../api.js";
import { attempt } from "../ask.js";
import { bridge } from "../bridge.js";
import { query } from "../query.js";
import { toast } from "../toast.js";

/** @typedef {import("../types.js").LoraSet} LoraSet */
/** @typedef {import("../types.js").SetContent} SetContent */
/** @typedef {import("../types.js").SetLora} SetLora */

export const NAME_LENGTH = 100;
/** What a name cannot hold, as it stands in a tag. */
export const NAME_PATTERN = "[^:<>=\\r\\n]*";

/** What goes into the prompt. */
export const tagOfSet = (/** @type {{name: string}} */ { name }) => `<set:${name}>`;

/** Is the set's tag in the host's prompt? */
export const isInPrompt = (/** @type {{name: string}} */ set) => Boolean(bridge.host) && bridge.says(tagOfSet(set));

/** What using it does now. */
export const useLabel = (/** @type {{name: string}} */ set) => (!bridge.host ? "Copy" : isInPrompt(set) ? "Remove" : "Insert");

/** Into the host's prompt (again: out of it), or the clipboard. */
export const useSet = (/** @type {{name: string}} */ set) => useWords(tagOfSet(set));

/** What the user says in a set, as a request takes it. @returns {Record<string, unknown>} */
export function contentOf(/** @type {SetContent} */ set) {
  const { name, prompt, negative_prompt, notes, base_model } = set;
  return { name, loras: set.loras.map(memberOf), prompt, negative_prompt, notes, base_model: base_model || null };
}

function memberOf(/** @type {SetLora} */ member) {
  const { lora_id, name, weight, te, unet, mid, out, dyn, words } = member;
  return { lora_id, name, weight, te, unet, in: member.in, mid, out, dyn, words };
}

/** Do both say the same? */
export const same = (/** @type {SetContent} */ one, /** @type {SetContent} */ other) => JSON.stringify(contentOf(one)) === JSON.stringify(contentOf(other));

/** @returns {SetContent} what the user says in it, on its own */
export const copyOf = (/** @type {SetContent} */ { name, loras, prompt, negative_prompt, notes, base_model }) => structuredClone({ name, loras, prompt, negative_prompt, notes, base_model });

/** @returns {SetContent} */
export const emptySet = () => ({ name: "", loras: [], prompt: "", negative_prompt: "", notes: "", base_model: null });

/**
 * Delete a set, with a way back.
 * @param {LoraSet} set
 * @param {HTMLButtonElement|null} [button]
 * @returns {Promise<boolean>} whether it is gone
 */
export async function deleteSet(set, button = null) {
  const gone = await attempt(() => request("DELETE", `sets/${set.id}`), { button, failed: "Not deleted" });
  if (gone === undefined) return false;
  const back = () => void attempt(async () => {
    await request("POST", `sets/${set.id}/restore`, { body: {} });
    toast(`The set ${set.name} is back.`);
  }, { failed: "Not brought back" });
  toast(`The set ${set.name} was deleted.`, { action: { label: "Undo", run: back } });
  return true;
}

/**
 * A name like this one that no set has yet.
 * @param {string} name
 * @returns {Promise<string>}
 * @throws {import("../api.js").ApiError}
 */
export async function freeName(name) {
  const { items } = await request("GET", "sets?limit=1000");
  const taken = new Set(items.map((/** @type {LoraSet} */ one) => one.name.toLowerCase()));
  for (let number = 1; ; number += 1) {
    const end = number === 1 ? "" : ` ${number}`;
    const free = `${name.slice(0, NAME_LENGTH - end.length).trim()}${end}`;
    if (!taken.has(free.toLowerCase())) return free;
  }
}

/** Another set that says the same. */
export async function duplicate(/** @type {LoraSet} */ set) {
  const made = await attempt(async () => request("POST", "sets", { body: { ...contentOf(set), name: await freeName(set.name) } }), { failed: "Not copied" });
  if (made) query.setPage(`sets/${made.id}`);
}
