// What the user asked to see: search, filters and order, kept in the page's address so that reload and back work.
import { Emitter } from "./dom.js";
import { sentQuery } from "./find/text.js";

/**
 * @typedef {object} Filters
 * @property {string} q
 * @property {string[]} base_model
 * @property {string[]} tag
 * @property {string[]} not_tag
 * @property {string[]} folder
 * @property {string[]} state
 * @property {string[]} label
 * @property {string[]} rating
 * @property {string[]} network
 * @property {string[]} nsfw
 * @property {string} collection its id, "" for none
 * @property {boolean} favorite
 * @property {boolean} hidden hidden LoRAs are shown too
 * @property {string} sort "" is the default: relevance with a search, else name
 * @property {string} seed of the random order
 */

/** @typedef {"base_model"|"tag"|"not_tag"|"folder"|"state"|"label"} SentList */
/** @typedef {SentList|"rating"|"network"|"nsfw"} ListFilter */

/** Lists that the API takes as parameters. @type {SentList[]} */
const SENT = ["base_model", "tag", "not_tag", "folder", "state", "label"];
/** @type {ListFilter[]} */
export const LISTS = [...SENT, "rating", "network", "nsfw"];

/** @returns {Filters} */
const nothing = () => ({
  q: "",
  base_model: [],
  tag: [],
  not_tag: [],
  folder: [],
  state: [],
  label: [],
  rating: [],
  network: [],
  nsfw: [],
  collection: "",
  favorite: false,
  hidden: false,
  sort: "",
  seed: "",
});

class Query extends Emitter {
  constructor() {
    super();
    this.filters = nothing();
    /** @type {number|null} the LoRA whose details are open */
    this.open = null;
    /** @type {string|null} the page shown instead of the library */
    this.page = null;
    /** In a host's frame the history belongs to the host's page, so entries are replaced there. */
    this.keepHistory = window.parent === window;
  }

  /** Take over what the address says; call once at the start. */
  start() {
    this.#read();
    window.addEventListener("popstate", () => this.#read());
    window.addEventListener("hashchange", () => this.#read());
  }

  /**
   * @param {Partial<Filters>} change
   * @param {{replace?: boolean}} [options] replace: do not leave an entry in the history (typing)
   */
  set(change, { replace = false } = {}) {
    const before = this.address();
    this.filters = { ...this.filters, ...change };
    if (this.address() === before) return;
    this.#write(replace);
    this.emit("change", this.filters);
  }

  /**
   * Add a value to a filter, or take it out when it is there.
   * @param {ListFilter} list
   * @param {string} value
   */
  toggle(list, value) {
    const has = this.filters[list].includes(value);
    /** @type {Partial<Filters>} */
    const change = { [list]: has ? this.filters[list].filter((one) => one !== value) : [...this.filters[list], value] };
    const other = list === "tag" ? "not_tag" : list === "not_tag" ? "tag" : null;
    if (other && !has) change[other] = this.filters[other].filter((one) => one !== value);
    this.set(change);
  }

  clear() {
    this.set({ ...nothing(), sort: this.filters.sort, seed: this.filters.seed, hidden: this.filters.hidden });
  }

  /** How many filters are on, the search not counted. */
  get active() {
    const { collection, favorite } = this.filters;
    return LISTS.reduce((sum, list) => sum + this.filters[list].length, 0) + (favorite ? 1 : 0) + (collection ? 1 : 0);
  }

  get narrowed() {
    return this.active > 0 || this.filters.q !== "";
  }

  /** @param {number|null} id */
  setOpen(id) {
    if (this.open === id) return;
    this.open = id;
    this.#write(true);
    this.emit("open", id);
  }

  /** Go to a page, null for the library; what was filtered there is there again on the way back. */
  setPage(/** @type {string|null} */ page) {
    if (this.page === page) return;
    this.page = page;
    const wasOpen = this.open !== null;
    this.open = null;
    this.#write(false);
    if (wasOpen) this.emit("open", null);
    this.emit("page", page);
  }

  /** What narrows the list, in the form that a request's `filter` takes. */
  selection() {
    const { filters } = this;
    /** @type {Record<string, unknown>} */
    const filter = { q: sentQuery(filters).q, hidden: filters.hidden };
    for (const list of SENT) filter[list] = [...filters[list]];
    if (filters.favorite) filter["favorite"] = true;
    if (filters.collection) filter["collection"] = Number(filters.collection);
    return filter;
  }

  /** The same with the order, as the list's address takes it. */
  parameters() {
    const sent = new URLSearchParams();
    for (const [name, value] of Object.entries(this.selection())) {
      for (const one of Array.isArray(value) ? value : [value]) if (one !== "" && one !== false) sent.append(name, one === true ? "1" : String(one));
    }
    const { sort, seed } = this.filters;
    if (sort) sent.set("sort", sort);
    if (sort === "random") sent.set("seed", seed || "1");
    return sent;
  }

  /** All of it as the page's address. */
  address() {
    const kept = new URLSearchParams();
    for (const [name, value] of Object.entries(this.filters)) {
      for (const one of Array.isArray(value) ? value : [value]) if (one) kept.append(name, one === true ? "1" : String(one));
    }
    if (this.page !== null) kept.set("page", this.page);
    if (this.open !== null) kept.set("lora", String(this.open));
    const text = kept.toString();
    return text ? `#${text}` : location.pathname + location.search;
  }

  #write(/** @type {boolean} */ replace) {
    if (replace || !this.keepHistory) history.replaceState(null, "", this.address());
    else history.pushState(null, "", this.address());
  }

  #read() {
    const kept = new URLSearchParams(location.hash.slice(1));
    const filters = nothing();
    for (const [name, empty] of Object.entries(filters)) {
      if (Array.isArray(empty)) Reflect.set(filters, name, kept.getAll(name));
      else Reflect.set(filters, name, typeof empty === "boolean" ? kept.get(name) === "1" : (kept.get(name) ?? ""));
    }
    const before = JSON.stringify(this.filters);
    this.filters = filters;
    if (JSON.stringify(filters) !== before) this.emit("change", filters);
    const open = Number(kept.get("lora")) || null;
    if (open !== this.open) {
      this.open = open;
      this.emit("open", open);
    }
    const page = kept.get("page");
    if (page !== this.page) {
      this.page = page;
      this.emit("page", page);
    }
  }
}

export const query = new Query();
