// What is selected on the map, and what can be done with all of it.
import { collections } from "../collections.js";
import { Emitter, h } from "../dom.js";
import { count, plural } from "../format.js";
import { icon } from "../icons.js";
import { openMenu } from "../popup.js";
import { goTo } from "../pages.js";
import { query } from "../query.js";
import { newCollection } from "../rail/collections.js";
import { openTagging } from "../select/tagging.js";
import { selection } from "../select/selection.js";
import { attempt, openDialog } from "../ask.js";
import { list } from "./loras.js";

/** Emits "change". */
export class Picked extends Emitter {
  constructor() {
    super();
    /** @type {Set<number>} */
    this.ids = new Set();
    this.text = h("span", { class: "selection-count", role: "status" });
    const clear = h("button", { class: "icon-button", type: "button", title: "Select none (Esc)", "aria-label": "Select none", onclick: () => this.clear() }, icon("close"));
    const tools = h(
      "div",
      { class: "selection-tools", role: "toolbar", "aria-label": "Do with the selected LoRAs" },
      tool("layers", "Add to collection…", "Collection", (button) => this.#collect(button)),
      tool("tag", "Tag…", "Tags", (button) => this.#tag(button)),
      tool("list", "List them", "List", () => void this.#list()),
      tool("library", "Back to the library with these selected: rate, move, label…", "In library", () => this.#toLibrary()),
    );
    this.bar = h("div", { class: "map-picked", hidden: true }, clear, this.text, tools);
  }

  /** Select these, or with `add` these too. */
  take(/** @type {Iterable<number>} */ ids, add = false) {
    this.ids = add ? new Set([...this.ids, ...ids]) : new Set(ids);
    this.#told();
  }

  toggle(/** @type {number} */ id) {
    if (!this.ids.delete(id)) this.ids.add(id);
    this.#told();
  }

  clear() {
    if (this.ids.size) this.take([]);
  }

  #told() {
    this.bar.hidden = this.ids.size === 0;
    this.text.textContent = `${count(this.ids.size)} selected`;
    this.emit("change");
  }

  #collect(/** @type {HTMLElement} */ button) {
    const ids = [...this.ids];
    const put = (/** @type {import("../types.js").Collection} */ one) => collections.pick(one, "add", { ids }, ids.length);
    /** @type {(import("../popup.js").MenuItem|null)[]} */
    const items = collections.picked.map((one) => ({ label: one.name, mark: h("span", { class: `swatch ${one.color ?? "none"}` }), run: () => void put(one) }));
    if (items.length) items.push(null);
    items.push({ label: "New collection…", icon: "plus", run: () => newCollection(button, (made) => void put(made)) });
    openMenu(button, "Add to collection", items);
  }

  /** The page's own selection becomes this one: what can be done with it can be done with these. */
  #share() {
    selection.clear();
    for (const id of this.ids) selection.ids.add(id);
    selection.emit("change");
  }

  #tag(/** @type {HTMLElement} */ button) {
    this.#share();
    openTagging(button);
  }

  #toLibrary() {
    this.#share();
    goTo(null);
  }

  async #list() {
    const content = await attempt(() => list([...this.ids]), { failed: "Not listed" });
    if (!content) return;
    const dialog = openDialog(plural(this.ids.size, "selected LoRA"), [content]);
    query.addEventListener("open", () => dialog.close(), { once: true });
  }
}

/** @param {import("../icons.js").IconName} sign @param {string} title @param {string} label @param {(button: HTMLButtonElement) => void} run */
function tool(sign, title, label, run) {
  const button = h("button", { class: "tool", type: "button", title, "aria-label": title }, icon(sign), h("span", null, label));
  button.addEventListener("click", () => run(button));
  return button;
}
