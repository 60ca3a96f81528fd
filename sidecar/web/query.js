// What the user asked to see: search, filters and order, kept in the page's address so that reload and back work.
import { Emitter } from "./dom.js";

/**
 * @typedef {object} Filters
 * @property {string} q
 * @property {string[]} base_model
 * @property {string[]} tag
 * @property {string[]} not_tag
 * @property {string[]} folder
 * @property {string[]} state
 * @property {boolean} favorite
 * @property {string} sort "" is the default: relevance with a search, else name
 * @property {string} seed of the random order
 */

/** @typedef {"base_model"|"tag"|"not_tag"|"folder"|"state"} ListFilter */

/** @type {ListFilter[]} */
export const LISTS = ["base_model", "tag", "not_tag", "folder", "state"];

/** @returns {Filters} */
const nothing = () => ({ q: "", base_model: [], tag: [], not_tag: [], folder: [], state: [], favorite: false, sort: "", seed: "" });

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
    this.set({ ...nothing(), sort: this.filters.sort, seed: this.filters.seed });
  }

  /** How many filters are on, the search not counted. */
  get active() {
    return LISTS.reduce((sum, list) => sum + this.filters[list].length, 0) + (this.filters.favorite ? 1 : 0);
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

  /** Go to a page, null for the library; what was open or filtered there is there again on the way back. */
  setPage(/** @type {string|null} */ page) {
    if (this.page === page) return;
    this.page = page;
    const wasOpen = this.open !== null;
    this.open = null;
    this.#write(false);
    if (wasOpen) this.emit("open", null);
    this.emit("page", page);
  }

  /** The filters as the API takes them. */
  parameters() {
    const query = new URLSearchParams();
    const { filters } = this;
    if (filters.q) query.set("q", filters.q);
    for (const list of LISTS) for (const value of filters[list]) query.append(list, value);
    if (filters.favorite) query.set("favorite", "1");
    if (filters.sort) query.set("sort", filters.sort);
    if (filters.sort === "random") query.set("seed", filters.seed || "1");
    return query;
  }

  address() {
    const query = this.parameters();
    if (this.page !== null) query.set("page", this.page);
    if (this.open !== null) query.set("lora", String(this.open));
    const text = query.toString();
    return text ? `#${text}` : location.pathname + location.search;
  }

  #write(/** @type {boolean} */ replace) {
    if (replace || !this.keepHistory) history.replaceState(null, "", this.address());
    else history.pushState(null, "", this.address());
  }

  #read() {
    const query = new URLSearchParams(location.hash.slice(1));
    const filters = nothing();
    filters.q = query.get("q") ?? "";
    for (const list of LISTS) filters[list] = query.getAll(list);
    filters.favorite = query.get("favorite") === "1";
    filters.sort = query.get("sort") ?? "";
    filters.seed = query.get("seed") ?? "";
    const open = Number(query.get("lora")) || null;
    const before = this.parameters().toString();
    this.filters = filters;
    if (this.parameters().toString() !== before) this.emit("change", filters);
    if (open !== this.open) {
      this.open = open;
      this.emit("open", open);
    }
    const page = query.get("page");
    if (page !== this.page) {
      this.page = page;
      this.emit("page", page);
    }
  }
}

export const query = new Query();
