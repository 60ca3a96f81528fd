// What the files say, unread: every side file and the header's metadata, folded away, JSON made readable.
import { copy } from "../actions.js";
import { h } from "../dom.js";
import { bytes, plural, when } from "../format.js";
import { icon } from "../icons.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {import("../types.js").SideFile} SideFile */

/** @type {Record<string, string>} */
const DIALECTS = {
  a1111: "A1111 user metadata",
  "browser+": "Civitai Browser+",
  civitai: "Civitai version",
  sdnext: "SDNext, a Civitai model",
  "lora-manager": "LoRA Manager for ComfyUI",
  text: "description",
  unknown: "",
};

/** A fold whose text is put in when it is opened first. @param {string} title @param {import("../dom.js").Child} note @param {() => string} read */
function fold(title, note, read) {
  const element = h("details", { class: "raw" }, h("summary", null, h("span", { class: "raw-title" }, title), h("span", { class: "number" }, note)));
  element.addEventListener("toggle", () => {
    if (!element.open || element.querySelector("pre")) return;
    const text = read();
    const take = h("button", { class: "icon-button", type: "button", title: `Copy ${title}`, "aria-label": `Copy ${title}`, onclick: () => void copy(text, title) }, icon("copy"));
    element.append(h("div", { class: "raw-head" }, take), h("pre", { tabIndex: 0 }, text));
  });
  return element;
}

/** JSON with indents; anything else as it is. */
function pretty(/** @type {string} */ text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

export function sideFile(/** @type {SideFile} */ file) {
  const kind = file.dialect ? (DIALECTS[file.dialect] ?? file.dialect) : "";
  const note = [kind, file.size === null ? "" : bytes(file.size)].filter(Boolean).join(" · ");
  if (file.text === null) return h("div", { class: "raw none" }, h("span", { class: "raw-title" }, file.name), h("span", { class: "number" }, note), file.error && h("p", { class: "file-warning" }, icon("warn"), file.error));
  const element = fold(file.name, note, () => pretty(file.text ?? ""));
  if (file.modified !== null) element.title = `Changed ${when(file.modified)}`;
  if (file.error) element.append(h("p", { class: "file-warning" }, icon("warn"), file.error));
  return element;
}

/** Everything the header says. @returns {HTMLElement|null} */
export function headerMetadata(/** @type {Detail} */ detail) {
  const keys = Object.keys(detail.metadata);
  if (!keys.length) return null;
  return fold("Header metadata", plural(keys.length, "entry", "entries"), () => JSON.stringify(detail.metadata, null, 2));
}
