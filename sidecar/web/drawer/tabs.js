// The drawer's tabs. The first is always there; the others load when they are first looked at.
import { h } from "../dom.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {{element: HTMLElement, show: (detail: Detail) => void, leave: () => void}} Tab */
/** @typedef {"details"|"similar"|"inspect"|"file"|"civitai"} Name */

/** @type {[Name, string, (() => Promise<Tab>)|null][]} */
const TABS = [
  ["details", "Details", null],
  ["similar", "Similar", async () => new (await import("./similar.js")).SimilarTab()],
  ["inspect", "Inspect", async () => new (await import("./inspect.js")).InspectTab()],
  ["file", "File", async () => new (await import("./file.js")).FileTab()],
  ["civitai", "Civitai", async () => new (await import("./civitai.js")).CivitaiTab()],
];

export class Tabs {
  /** @param {HTMLElement} first what the first tab shows */
  constructor(first) {
    /** @type {Name} */
    this.chosen = "details";
    /** @type {Detail|null} */
    this.detail = null;
    /** @type {Map<Name, Tab>} */
    this.loaded = new Map();
    this.panels = new Map(TABS.map(([name]) => [name, h("div", { class: "tab-panel", id: `panel-${name}`, role: "tabpanel", "aria-labelledby": `tab-${name}`, hidden: name !== "details" })]));
    this.panels.get("details")?.append(first);
    this.buttons = TABS.map(([name, text]) => {
      const button = h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, "aria-selected": String(name === "details"), tabIndex: name === "details" ? 0 : -1 }, text);
      button.addEventListener("click", () => void this.choose(name));
      return button;
    });
    this.bar = h("div", { class: "tabs", role: "tablist", "aria-label": "Details" }, ...this.buttons);
    this.element = h("div", { class: "drawer-tabs" }, this.bar, ...this.panels.values());
    this.bar.addEventListener("keydown", (event) => this.#walk(event));
  }

  async choose(/** @type {Name} */ name) {
    if (this.chosen !== name) this.loaded.get(this.chosen)?.leave();
    this.chosen = name;
    for (const [at, [one]] of TABS.entries()) {
      const button = this.buttons[at];
      button?.setAttribute("aria-selected", String(one === name));
      if (button) button.tabIndex = one === name ? 0 : -1;
      const panel = this.panels.get(one);
      if (panel) panel.hidden = one !== name;
    }
    const scroller = this.element.parentElement;
    if (scroller && scroller.scrollTop > this.element.offsetTop) scroller.scrollTop = this.element.offsetTop;
    await this.#show();
  }

  update(/** @type {Detail} */ detail) {
    this.detail = detail;
    void this.#show();
  }

  /** Nothing is looked at any more. */
  leave() {
    this.detail = null;
    for (const tab of this.loaded.values()) tab.leave();
  }

  async #show() {
    const name = this.chosen;
    const load = TABS.find(([one]) => one === name)?.[2];
    if (!load) return;
    if (!this.loaded.has(name)) {
      const tab = await load();
      if (!this.loaded.has(name)) {
        this.loaded.set(name, tab);
        this.panels.get(name)?.replaceChildren(tab.element);
      }
    }
    if (this.detail && this.chosen === name) this.loaded.get(name)?.show(this.detail);
  }

  #walk(/** @type {KeyboardEvent} */ event) {
    const at = TABS.findIndex(([name]) => name === this.chosen);
    const steps = /** @type {Record<string, number>} */ ({ ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 });
    const to = steps[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const next = TABS[(to + TABS.length) % TABS.length];
    if (!next) return;
    void this.choose(next[0]);
    this.buttons[TABS.indexOf(next)]?.focus();
  }
}
