// Suggestions under a text box: asked for while typing, walked through with the arrow keys, taken with Enter, Tab or a click.
import { add, h } from "./dom.js";

/** @typedef {import("./dom.js").Child} Child */

/**
 * @template T
 * @typedef {object} ComboOptions
 * @property {string} label of the list
 * @property {(text: string, caret: number) => Promise<T[]>|T[]} ask an empty list closes it; what it throws is its own affair
 * @property {(item: T) => Child[]} draw
 * @property {(item: T) => void} choose
 * @property {number} [wait] milliseconds after the last letter
 * @property {string} [className]
 * @property {() => DOMRect} [place] what the list stands at, when it is not the whole box
 */

const EDGE = 8;
let lists = 0;

/** @template T */
export class Combo {
  /**
   * @param {HTMLInputElement|HTMLTextAreaElement} box
   * @param {ComboOptions<T>} options
   */
  constructor(box, options) {
    this.box = box;
    this.options = options;
    /** @type {T[]} */
    this.items = [];
    this.active = -1;
    this.turn = 0;
    this.timer = 0;
    lists += 1;
    this.list = h("div", { id: `suggestions-${lists}`, role: "listbox", "aria-label": options.label });
    this.note = h("div", { class: "suggest-note" });
    this.panel = h("div", { class: `suggest ${options.className ?? ""}` }, this.list, this.note);
    this.panel.popover = "manual";
    for (const [name, value] of Object.entries({ "aria-autocomplete": "list", "aria-controls": this.list.id, "aria-expanded": "false" })) {
      box.setAttribute(name, value);
    }
    if (box instanceof HTMLInputElement) box.setAttribute("role", "combobox"); // a text of many lines stays a text box
    box.autocomplete = "off";
    const heard = /** @type {HTMLElement} */ (box);
    heard.addEventListener("input", () => this.ask());
    heard.addEventListener("keydown", (event) => this.#pressed(event));
    heard.addEventListener("blur", () => this.close());
    this.panel.addEventListener("mousedown", (event) => event.preventDefault()); // the box keeps the focus
    this.list.addEventListener("click", (event) => {
      const option = event.target instanceof Element ? event.target.closest("[role=option]") : null;
      if (option) this.#take([...this.list.children].indexOf(option));
    });
  }

  get isOpen() {
    return this.list.childElementCount > 0;
  }

  /** Ask for suggestions to what stands in the box now. */
  ask(wait = this.options.wait ?? 60) {
    clearTimeout(this.timer);
    this.turn += 1;
    const { turn } = this;
    this.timer = window.setTimeout(async () => {
      const items = await this.options.ask(this.box.value, this.box.selectionStart ?? this.box.value.length);
      if (turn === this.turn && document.activeElement === this.box) this.#show(items);
    }, wait);
  }

  /** Text below the suggestions, with or without any. */
  say(/** @type {Child[]} */ ...content) {
    this.note.replaceChildren();
    add(this.note, content);
    this.#settle();
  }

  close() {
    clearTimeout(this.timer);
    this.turn += 1;
    this.#show([]);
  }

  #show(/** @type {T[]} */ items) {
    this.items = items;
    const options = items.map((item, at) => {
      const option = h("div", { role: "option", id: `${this.list.id}-${at}`, "aria-selected": "false" });
      add(option, this.options.draw(item));
      return option;
    });
    this.list.replaceChildren(...options);
    this.#activate(-1);
    this.box.setAttribute("aria-expanded", String(this.isOpen));
    this.#settle();
  }

  /** Shown while there is something in it and somebody types. */
  #settle() {
    const wanted = (this.isOpen || this.note.hasChildNodes()) && document.activeElement === this.box;
    const there = this.panel.isConnected && this.panel.matches(":popover-open");
    if (!wanted) {
      if (there) this.panel.hidePopover();
      this.panel.remove();
      return;
    }
    if (!there) {
      this.box.after(this.panel); // beside its box, which may be in a dialog
      this.panel.showPopover();
    }
    const at = this.options.place?.() ?? this.box.getBoundingClientRect();
    const below = innerHeight - at.bottom - EDGE;
    const up = below < 160 && at.top > below;
    this.panel.style.maxHeight = `${Math.max(96, Math.min(420, (up ? at.top : below) - EDGE))}px`;
    this.panel.style.left = `${Math.max(EDGE, at.left)}px`;
    this.panel.style.minWidth = `${Math.min(at.width, innerWidth - 2 * EDGE)}px`;
    this.panel.style.maxWidth = `${Math.max(at.width, Math.min(420, innerWidth - 2 * EDGE))}px`;
    this.panel.style.top = up ? "auto" : `${at.bottom + 4}px`;
    this.panel.style.bottom = up ? `${innerHeight - at.top + 4}px` : "auto";
  }

  #activate(/** @type {number} */ at) {
    this.list.children[this.active]?.setAttribute("aria-selected", "false");
    this.active = at;
    const option = this.list.children[at];
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    if (option) this.box.setAttribute("aria-activedescendant", option.id);
    else this.box.removeAttribute("aria-activedescendant");
  }

  #take(/** @type {number} */ at) {
    const item = this.items[at];
    if (item === undefined) return;
    this.close();
    this.options.choose(item);
  }

  #pressed(/** @type {KeyboardEvent} */ event) {
    if (!this.isOpen || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const last = this.items.length - 1;
    if (event.key === "ArrowDown") this.#activate(this.active >= last ? -1 : this.active + 1);
    else if (event.key === "ArrowUp") this.#activate(this.active < 0 ? last : this.active - 1);
    else if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && this.active >= 0) this.#take(this.active);
    else if (event.key === "Tab" && !event.shiftKey) this.#take(Math.max(0, this.active));
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}
