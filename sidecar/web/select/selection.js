// Which LoRAs are selected: some by id, or everything in the list by its filter, so that 50,000 cost no more than one.
import { listLoras } from "../api.js";
import { Emitter } from "../dom.js";
import { library } from "../library.js";

/** @typedef {import("../types.js").Lora} Lora */
/** @typedef {import("../types.js").Selection} Chosen */
/** @typedef {import("../library.js").Asked} Asked */

const STEP = 1000;

/** Emits "change" when something else is selected, and "busy" {done, total} | null while ids are being asked for. */
class Selection extends Emitter {
  constructor() {
    super();
    /** @type {Set<number>} selected one by one */
    this.ids = new Set();
    /** Everything in the list that was asked for so, but for `except`. @type {Asked|null} */
    this.all = null;
    /** @type {Set<number>} */
    this.except = new Set();
    /** Place in the list from which Shift selects on. */
    this.anchor = -1;
    /** What Shift selected from there. @type {number[]} */
    this.extended = [];
    library.on("reset", () => {
      const other = this.all && JSON.stringify(this.all.filter) !== JSON.stringify(library.asked.filter);
      if (other) this.clear();
      else if (this.all) this.emit("change"); // there may be more of them now
      this.anchor = -1;
      this.extended = [];
    });
  }

  get count() {
    return this.all ? Math.max(0, (library.total ?? 0) - this.except.size) : this.ids.size;
  }

  has(/** @type {number} */ id) {
    return this.all ? !this.except.has(id) : this.ids.has(id);
  }

  /** Is everything in the list selected? */
  get whole() {
    return this.all !== null && this.except.size === 0;
  }

  /** Those of the selected ones that are loaded. */
  get loaded() {
    /** @type {Lora[]} */
    const found = [];
    for (const items of library.pages.values()) for (const lora of items) if (this.has(lora.id)) found.push(lora);
    return found;
  }

  #set(/** @type {number} */ id, /** @type {boolean} */ on) {
    const set = this.all ? this.except : this.ids;
    if (on === (this.all === null)) set.add(id);
    else set.delete(id);
  }

  /** Select the LoRA at this place of the list, or not any more. */
  toggle(/** @type {number} */ index) {
    const lora = library.get(index);
    if (!lora) return;
    this.#set(lora.id, !this.has(lora.id));
    this.anchor = index;
    this.extended = [];
    if (this.all && this.count === 0) this.clear();
    else this.emit("change");
  }

  /** Select from the anchor to this place. */
  async extend(/** @type {number} */ index) {
    const from = Math.min(this.anchor < 0 ? index : this.anchor, index);
    const to = Math.max(this.anchor, index);
    const ids = await this.#idsAt(from, to);
    for (const id of this.extended) this.#set(id, false); // what the last extension took too much
    for (const id of ids) this.#set(id, true);
    this.extended = ids;
    if (this.anchor < 0) this.anchor = index;
    this.emit("change");
  }

  everything() {
    if (!library.total) return;
    this.all = library.asked;
    this.ids.clear();
    this.except.clear();
    this.emit("change");
  }

  clear() {
    if (this.count === 0 && !this.all) return;
    this.all = null;
    this.ids.clear();
    this.except.clear();
    this.anchor = -1;
    this.emit("change");
  }

  /** These are gone from the library. */
  drop(/** @type {Iterable<number>} */ ids) {
    for (const id of ids) this.ids.delete(id);
    this.emit("change");
  }

  /**
   * The selection as a request takes it.
   * @returns {Promise<Chosen>}
   * @throws {import("../api.js").ApiError}
   */
  async chosen() {
    if (!this.all) return { ids: [...this.ids] };
    if (this.except.size === 0) return { filter: this.all.filter };
    const { except } = this;
    const ids = await this.#idsAt(0, (library.total ?? 0) - 1);
    return { ids: ids.filter((id) => !except.has(id)) };
  }

  /**
   * Ids at these places of the list; what is not loaded is asked for.
   * @returns {Promise<number[]>}
   * @throws {import("../api.js").ApiError}
   */
  async #idsAt(/** @type {number} */ from, /** @type {number} */ to) {
    const ids = [];
    for (let at = from; at <= to; at += 1) {
      const lora = library.get(at);
      if (lora) ids.push(lora.id);
      else break;
    }
    if (ids.length === to - from + 1) return ids;
    const { asked } = library;
    const found = [];
    try {
      for (let at = from; at <= to; at += STEP) {
        this.emit("busy", { done: at - from, total: to - from + 1 });
        const parameters = new URLSearchParams(asked.parameters);
        parameters.set("limit", String(Math.min(STEP, to - at + 1)));
        parameters.set("offset", String(at));
        const { items } = await listLoras(parameters, new AbortController().signal);
        for (const { id } of items) found.push(id);
      }
    } finally {
      this.emit("busy", null);
    }
    return found;
  }
}

export const selection = new Selection();
