// How a set looks: its own picture, else up to four of its LoRAs' previews, else two letters.
import { address } from "../api.js";
import { h } from "../dom.js";
import { hue, initials } from "../format.js";
import { thumb } from "../pages/parts.js";

/** @typedef {import("../types.js").LoraSet} LoraSet */
/** @typedef {import("../types.js").SetLora} SetLora */

const MOST = 4;

/** A LoRA of a set as the page's other parts know LoRAs: enough for its small picture. */
export const asLora = (/** @type {SetLora} */ member) => /** @type {import("../types.js").Lora} */ (/** @type {unknown} */ ({ ...member, id: member.lora_id }));

/** The base model that a set is for: as the user says, else as most of its LoRAs are. */
export const baseOf = (/** @type {Pick<LoraSet, "base_model"|"detected_base_model">} */ set) => set.base_model || set.detected_base_model;

/** The LoRAs of a set that are not in the library. */
export const missingIn = (/** @type {{loras: SetLora[]}} */ set) => set.loras.filter(({ state }) => state === "missing");

/** A set's dot in the colour of its base model. */
export function baseDot(/** @type {string} */ base) {
  const degrees = hue(base);
  return h("span", { class: degrees < 0 ? "dot grey" : "dot", style: { "--hue": Math.max(0, degrees) } });
}

/** @param {Pick<LoraSet, "id"|"name"|"loras"|"preview"|"preview_stamp"|"base_model"|"detected_base_model">} set */
export function setPicture(set) {
  if (set.preview) {
    const picture = h("img", { alt: "", loading: "lazy", decoding: "async", src: address(`api/v1/sets/${set.id}/preview?v=${set.preview_stamp ?? ""}`).href });
    return h("div", { class: "set-picture own" }, picture);
  }
  const shown = set.loras.filter(({ lora_id, preview }) => lora_id !== null && preview).slice(0, MOST);
  if (shown.length) return h("div", { class: `set-picture of-${shown.length}` }, ...shown.map((member) => thumb(asLora(member))));
  const degrees = hue(baseOf(set) ?? "unknown");
  return h("div", { class: degrees < 0 ? "set-picture letters-only grey" : "set-picture letters-only", style: { "--hue": Math.max(0, degrees) } }, initials(set.name));
}
