// The prompt that a picture was made with: its file is chosen, dropped on the page or pasted, and read by the sidecar.
import { request } from "../api.js";
import { attempt, openDialog } from "../ask.js";
import { h, isTyping } from "../dom.js";
import { titleOf, weight } from "../format.js";
import { icon } from "../icons.js";
import { thumb } from "../pages/parts.js";
import { toast } from "../toast.js";
import { draft } from "./draft.js";

/** @typedef {import("../types.js").PictureText} PictureText */
/** @typedef {import("../types.js").PictureLora} PictureLora */

const FORMS = "image/png,image/jpeg,image/webp";

/** Dropping and pasting pictures anywhere on the page. @param {HTMLElement} container @param {AbortSignal} signal */
export function takePictures(container, signal) {
  container.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    container.classList.add("over");
  }, { signal });
  container.addEventListener("dragleave", (event) => {
    if (!(event.relatedTarget instanceof Node && container.contains(event.relatedTarget))) container.classList.remove("over");
  }, { signal });
  container.addEventListener("drop", (event) => {
    container.classList.remove("over");
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    void readPicture(file);
  }, { signal });
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    const elsewhere = event.defaultPrevented || document.querySelector("dialog[open], lora-drawer:not([hidden])"); // the drawer takes it
    if (!file || elsewhere || (isTyping(event.target) && event.clipboardData?.types.includes("text/plain"))) return;
    event.preventDefault();
    void readPicture(file);
  }, { signal });
}

export function choosePicture() {
  const input = h("input", { type: "file", accept: FORMS });
  input.addEventListener("change", () => input.files?.[0] && void readPicture(input.files[0]));
  input.click();
}

async function readPicture(/** @type {File} */ file) {
  if (!file.type.startsWith("image/")) return toast("Only pictures tell how they were made: PNG, JPEG or WebP.", { kind: "error" });
  /** @type {PictureText|undefined} */
  const told = await attempt(() => request("POST", "prompts/image", { body: file }), { failed: file.name || "The picture" });
  if (told) show(told, file);
  return undefined;
}

function show(/** @type {PictureText} */ told, /** @type {File} */ file) {
  const url = URL.createObjectURL(file);
  const { loras, missing, sets } = told;
  const facts = Object.entries(told.parameters).slice(0, 16).flatMap(([name, value]) => [h("dt", null, name.replaceAll("_", " ")), h("dd", null, String(value))]);
  const use = h("button", { class: "small-button strong", type: "button" }, icon("check"), "Use this prompt");
  const add = h("button", { class: "small-button", type: "button", hidden: !loras.some(({ lora }) => lora) }, icon("plus"), "Only add its LoRAs");
  const list = h("ul", { class: "picture-loras", "aria-label": "LoRAs of the picture" }, ...loras.map(loraRow));
  const gone = missing.length > 0 && h("p", { class: "problem" }, icon("warn"), `Not in your library: ${missing.join(", ")}. ${missing.length === 1 ? "It stays" : "They stay"} in the text, where the host would tell that it has none of that name.`);
  const texts = [textPart("Prompt", told.prompt), told.negative_prompt && textPart("Negative prompt", told.negative_prompt)];
  const about = [h("p", { class: "hint" }, [`Made with ${told.software}`, sets.length ? `sets: ${sets.join(", ")}` : ""].filter(Boolean).join(" · ")), ...texts, loras.length > 0 && h("h3", null, "LoRAs"), loras.length > 0 && list, gone, facts.length > 0 && h("dl", { class: "facts" }, ...facts)];
  const column = h("div", { class: "picture-about" });
  for (const part of about) if (part) column.append(part);
  const dialog = openDialog(file.name || "From an image", [h("div", { class: "picture-told" }, h("img", { alt: "", src: url }), column), h("div", { class: "dialog-actions" }, add, use)], { wide: true });
  dialog.addEventListener("close", () => URL.revokeObjectURL(url));
  use.addEventListener("click", () => {
    draft.set({ prompt: told.prompt, negative_prompt: told.negative_prompt, muted: [] });
    dialog.close();
  });
  add.addEventListener("click", () => {
    const tags = loras.flatMap(({ lora, weight: said }) => (lora ? [`<lora:${lora.name}:${weight(said ?? lora.weight ?? 1)}>`] : []));
    const { prompt } = draft.state;
    draft.set({ prompt: [prompt.trimEnd(), ...tags.filter((tag) => !prompt.includes(tag))].filter(Boolean).join(" ") });
    dialog.close();
  });
  use.focus();
}

const textPart = (/** @type {string} */ title, /** @type {string} */ text) => h("div", null, h("h3", null, title), h("div", { class: "given-text" }, text));

function loraRow(/** @type {PictureLora} */ { name, weight: said, found, lora }) {
  const how = found === "hash" ? "the same file" : found === "name" ? "by its name" : "missing";
  const renamed = lora && lora.name !== name ? `, called ${name} in the picture` : "";
  const picture = lora ? thumb(lora) : h("span", { class: "thumb grey" }, icon("question"));
  return h("li", { class: lora ? "" : "missing" }, picture, h("span", { class: "row-main" }, h("strong", null, lora ? titleOf(lora) : name), h("span", { class: "hint" }, how + renamed)), h("span", { class: "number" }, said === null ? "" : weight(said)));
}
