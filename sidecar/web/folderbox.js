// A box that takes one of the library's folders, or a new one below them, with completion while typing.
import { ApiError, request } from "./api.js";
import { Combo } from "./combo.js";
import { h } from "./dom.js";
import { count } from "./format.js";
import { icon } from "./icons.js";

const SHOWN = 60;

/** Every folder with how many LoRAs lie in it; those above them too. @returns {Promise<Map<string, number>>} */
async function readFolders() {
  /** @type {Map<string, number>} */
  const folders = new Map();
  try {
    const { facets } = await request("GET", "loras?facets=1&limit=1&hidden=1");
    for (const { value, count: loras } of facets?.folder ?? []) {
      const parts = value.split("/");
      for (let end = 1; end < parts.length; end += 1) {
        const above = parts.slice(0, end).join("/");
        folders.set(above, folders.get(above) ?? 0);
      }
      folders.set(value, loras);
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // typed by hand then
  }
  const order = new Intl.Collator(undefined, { numeric: true });
  return new Map([...folders].sort(([a], [b]) => order.compare(a, b)));
}

/** "/styles//new/" → "styles/new" */
const tidy = (/** @type {string} */ text) => text.trim().replaceAll("\\", "/").split("/").filter(Boolean).join("/");

/**
 * @param {{label: string, value?: string, placeholder?: string}} options
 * @returns {{element: HTMLElement, input: HTMLInputElement, value: () => string}}
 */
export function folderBox({ label, value = "", placeholder = "Type to find or name a folder" }) {
  const input = h("input", { type: "text", value, placeholder, "aria-label": label, spellcheck: false });
  const element = h("div", { class: "folder-box" }, input);
  /** @type {Promise<Map<string, number>>|null} */
  let reading = null;
  /** @type {Map<string, number>} */
  let folders = new Map();
  const combo = new Combo(input, {
    label: "Folders",
    wait: 0,
    async ask(text) {
      reading ??= readFolders();
      folders = await reading;
      const typed = tidy(text);
      const words = folders.has(typed) ? [] : typed.toLowerCase().split(/[\s/]+/).filter(Boolean);
      const found = [...folders.keys()].filter((path) => words.every((word) => path.toLowerCase().includes(word))).slice(0, SHOWN);
      const fresh = typed !== "" && !folders.has(typed) && folders.has(typed.split("/")[0] ?? "");
      return fresh ? [typed, ...found] : found;
    },
    draw(path) {
      const isNew = !folders.has(path);
      const cut = path.lastIndexOf("/") + 1;
      const text = h("span", { class: "folder-text" }, h("span", { class: "folder-above" }, path.slice(0, cut)), path.slice(cut));
      return [icon(isNew ? "plus" : "folder"), text, h("span", { class: "number" }, isNew ? "new folder" : count(folders.get(path) ?? 0))];
    },
    choose(path) {
      input.value = path;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    },
  });
  input.addEventListener("focus", () => combo.ask(0));
  return { element, input, value: () => tidy(input.value) };
}
