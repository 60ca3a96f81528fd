// How a completion looks in a list: picture, name, base model, and whether it fits the checkpoint.
import { h } from "../dom.js";
import { hue } from "../format.js";
import { icon } from "../icons.js";
import { pictureOf, thumb } from "../pages/parts.js";

/** @param {import("../types.js").Completion} item @returns {import("../dom.js").Child[]} */
export function suggestion({ kind, label, detail, lora, set, fits }) {
  const base = lora?.base_model ?? set?.base_model ?? "";
  const degrees = base ? hue(base) : -1;
  const first = set?.previews[0];
  const picture = lora ? thumb(lora) : first ? pictureOf(`api/v1/loras/${first}/preview`, label) : kind === "set" ? h("span", { class: "thumb grey" }, icon("list")) : null;
  const about = h("span", { class: "suggest-about" }, base && h("span", { class: fits === false ? "chip-base other" : "chip-base" }, h("i", { class: degrees < 0 ? "dot grey" : "dot", style: { "--hue": Math.max(0, degrees) } }), base), detail && detail !== base ? h("span", null, detail) : null);
  return [picture, h("span", { class: "suggest-main" }, h("span", { class: "suggest-name" }, label), about)];
}
