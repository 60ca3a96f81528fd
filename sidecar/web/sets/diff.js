// What is different between two versions of a set, in a few words each. Pure functions.
import { weight } from "../format.js";

/** @typedef {import("../types.js").SetContent} SetContent */
/** @typedef {import("../types.js").SetLora} SetLora */

const NUMBERS = /** @type {const} */ (["weight", "te", "unet", "in", "mid", "out", "dyn"]);
const TEXTS = /** @type {[("prompt"|"negative_prompt"|"notes"), string][]} */ ([["prompt", "prompt"], ["negative_prompt", "negative prompt"], ["notes", "notes"]]);
const CUT = 60;

const keyOf = (/** @type {SetLora} */ { lora_id, name }) => (lora_id === null ? name.toLowerCase() : `#${lora_id}`);
const number = (/** @type {number|null} */ value) => (value === null ? "as the LoRA says" : weight(value));
const listed = (/** @type {string[]|null} */ words) => (words === null ? "as the LoRA says" : words.join(", ") || "none");
const short = (/** @type {string} */ text) => (text.length > CUT ? `${text.slice(0, CUT - 1)}…` : text);

/**
 * @param {SetContent} before
 * @param {SetContent} after
 * @returns {string[]} nothing when both say the same
 */
export function differences(before, after) {
  const changes = [];
  if (before.name !== after.name) changes.push(`renamed from ${before.name}`);
  const old = new Map(before.loras.map((one) => [keyOf(one), one]));
  const now = new Map(after.loras.map((one) => [keyOf(one), one]));
  for (const [key, one] of now) if (!old.has(key)) changes.push(`added ${one.title}${one.weight === null ? "" : ` ${weight(one.weight)}`}`);
  for (const [key, one] of old) if (!now.has(key)) changes.push(`removed ${one.title}`);
  for (const [key, one] of now) {
    const was = old.get(key);
    if (was) changes.push(...changesOf(was, one));
  }
  const stayed = (/** @type {Map<string, SetLora>} */ here, /** @type {Map<string, SetLora>} */ there) => [...here.keys()].filter((key) => there.has(key)).join();
  if (stayed(old, now) !== stayed(now, old)) changes.push("another order");
  for (const [name, label] of TEXTS) {
    const [from, to] = [before[name].trim(), after[name].trim()];
    if (from !== to) changes.push(to ? `${label}: ${short(to.replace(/\s+/g, " "))}` : `${label} emptied`);
  }
  if ((before.base_model ?? "") !== (after.base_model ?? "")) changes.push(after.base_model ? `base model ${after.base_model}` : "base model as the LoRAs say");
  return changes;
}

/** @param {SetLora} was @param {SetLora} now */
function changesOf(was, now) {
  const changes = NUMBERS.filter((name) => was[name] !== now[name]).map((name) => `${now.title}${name === "weight" ? "" : ` ${name}`} ${number(was[name])} → ${number(now[name])}`);
  if (listed(was.words) !== listed(now.words)) changes.push(`${now.title} words: ${listed(now.words)}`);
  return changes;
}
