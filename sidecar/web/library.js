// The list that the grid shows: a sparse cache of pages for the present query, its facets, and edits made on top.
import { ApiError, listLoras, request } from "./api.js";
import { Emitter } from "./dom.js";
import { typedPart } from "./find/text.js";
import { query } from "./query.js";

/** @typedef {import("./types.js").Lora} Lora */
/** @typedef {import("./types.js").LoraList} LoraList */
/** @typedef {{parameters: URLSearchParams, filter: Record<string, unknown>, filters: import("./query.js").Filters}} Asked */

export const PAGE = 100;
const KEPT_PAGES = 80;
/** Milliseconds until what failed is asked for again. */
const AGAIN = 1500;
/** How many LoRAs beyond the visible ones are asked for. */
const AHEAD = 40;

/**
 * Emits: "reset" (another query's first page is here), "loaded" (a page arrived), "item" (one LoRA changed),
 * "facets", "slow" (the answer takes a while), "error", "stale" (the library changed under the user's eyes), "bad" (the
 * search cannot be read, the list stays as it was; or null: it can be again).
 */
class Library extends Emitter {
  constructor() {
    super();
    /** @type {number|null} null until the first answer */
    this.total = null;
    /** @type {string|null} */
    this.corrected = null;
    /** @type {import("./types.js").Facets|null} */
    this.facets = null;
    /** @type {ApiError|null} why there is no list */
    this.error = null;
    /** What is wrong with the search; the list still shows what was found before. @type {ApiError|null} */
    this.bad = null;
    /** What the list that is shown was asked for with. @type {Asked} */
    this.asked = { parameters: new URLSearchParams(), filter: {}, filters: query.filters };
    /** True while what is shown differs from what the sidecar would answer now. */
    this.stale = false;
    /** @type {Map<number, Lora[]>} least recently used first */
    this.pages = new Map();
    /** @type {Map<number, AbortController>} */
    this.waiting = new Map();
    this.visible = { first: 0, last: 0 };
    this.generation = 0;
    this.facetsGeneration = 0;
    /** @type {() => boolean} asks the grid whether items may change places now */
    this.mayMove = () => true;
    query.on("change", () => void this.reload());
  }

  /** @returns {Lora|undefined} */
  get(/** @type {number} */ index) {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** @returns {Lora|undefined} the loaded LoRA of this id */
  byId(/** @type {number} */ id) {
    for (const items of this.pages.values()) for (const lora of items) if (lora.id === id) return lora;
    return undefined;
  }

  /** The place of a loaded LoRA in the list, -1 when it is not loaded. */
  indexOf(/** @type {number} */ id) {
    for (const [page, items] of this.pages) {
      const at = items.findIndex((lora) => lora.id === id);
      if (at >= 0) return page * PAGE + at;
    }
    return -1;
  }

  /** Ask for the first page of the present query; the old list stays until it is here. */
  async reload({ keepPlace = false } = {}) {
    this.generation += 1;
    const { generation } = this;
    const asked = { parameters: query.parameters(), filter: query.selection(), filters: query.filters };
    this.#abortAll();
    const slow = setTimeout(() => this.generation === generation && this.emit("slow", true), 250);
    const pages = keepPlace ? this.#visiblePages() : [0];
    try {
      const answers = await Promise.all(pages.map((page) => this.#fetch(page, asked)));
      if (this.generation !== generation) return;
      this.asked = asked;
      this.#replace(pages, answers);
      this.#tellBad(null);
      this.emit("reset", { keepPlace });
    } catch (error) {
      if (this.generation !== generation || !(error instanceof ApiError)) return;
      if (error.code === "bad_query") return void this.#tellBad(error);
      this.error = error;
      this.emit("error", error);
      if (error.status === 0 || error.status >= 500) setTimeout(() => this.generation === generation && void this.reload({ keepPlace }), AGAIN);
    } finally {
      clearTimeout(slow);
      if (this.generation === generation) this.emit("slow", false);
    }
    void this.loadFacets();
  }

  /** Counts for the filter rail; asked for apart from the list, so that they never hold the cards up. */
  async loadFacets() {
    this.facetsGeneration += 1;
    const generation = this.facetsGeneration;
    const parameters = new URLSearchParams(this.asked.parameters);
    parameters.set("facets", "1");
    parameters.set("limit", "1");
    parameters.delete("sort");
    parameters.delete("seed");
    try {
      if (!this.facets && query.narrowed) {
        // opened with filters on: the rail offers the other values too
        const all = await request("GET", "loras?facets=1&limit=1");
        if (all.facets) this.emit("facets", all.facets);
      }
      const answer = await request("GET", `loras?${parameters}`);
      if (generation !== this.facetsGeneration || !answer.facets) return;
      this.facets = answer.facets;
      this.emit("facets", this.facets);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the rail keeps its last counts
    }
  }

  /** Load the pages of this range of the list, and give up pages that were scrolled past. */
  ensure(/** @type {number} */ first, /** @type {number} */ last) {
    this.visible = { first, last };
    const end = Math.max(0, (this.total ?? 0) - 1);
    const from = Math.floor(Math.max(0, first - AHEAD) / PAGE);
    const to = Math.floor(Math.min(end, last + AHEAD) / PAGE);
    for (const [page, controller] of this.waiting) {
      if (page < from || page > to) {
        controller.abort();
        this.waiting.delete(page);
      }
    }
    for (let page = from; page <= to; page += 1) {
      const held = this.pages.get(page);
      if (held) {
        this.pages.delete(page); // to the young end of the map
        this.pages.set(page, held);
      } else if (!this.waiting.has(page) && this.total !== null && page * PAGE < this.total) void this.#loadPage(page);
    }
  }

  /** The disk changed: take the new list over if nothing on the screen would move, else say that it is stale. */
  async refresh() {
    if (this.total === null || this.error) return this.reload();
    const { generation, asked } = this;
    const pages = this.#visiblePages();
    let answers;
    try {
      answers = await Promise.all(pages.map((page) => this.#fetch(page, asked)));
    } catch (error) {
      if (error instanceof ApiError || (error instanceof DOMException && error.name === "AbortError")) return undefined;
      throw error;
    }
    if (this.generation !== generation) return undefined;
    const moved = this.#wouldMove(pages, answers);
    if (moved && !this.mayMove()) {
      this.stale = true;
      this.emit("stale", true);
    } else {
      this.#replace(pages, answers);
      this.emit("reset", { keepPlace: true });
    }
    return this.loadFacets();
  }

  /** Put changed values over a loaded LoRA (an edit made here, or the sidecar's word on one). */
  patch(/** @type {number} */ id, /** @type {Partial<Lora>} */ change) {
    const lora = this.byId(id);
    if (!lora) return;
    for (const key of /** @type {(keyof Lora)[]} */ (Object.keys(lora))) {
      if (key in change) Reflect.set(lora, key, change[key]);
    }
    this.emit("item", lora);
  }

  #visiblePages() {
    const pages = [];
    for (let page = Math.floor(this.visible.first / PAGE); page <= Math.floor(this.visible.last / PAGE); page += 1) pages.push(page);
    return pages.length ? pages : [0];
  }

  /** @returns {Promise<LoraList>} */
  async #fetch(/** @type {number} */ page, /** @type {Asked} */ asked) {
    const parameters = new URLSearchParams(asked.parameters);
    parameters.set("limit", String(PAGE));
    parameters.set("offset", String(page * PAGE));
    const controller = new AbortController();
    this.waiting.set(page, controller);
    try {
      return await listLoras(parameters, controller.signal);
    } finally {
      if (this.waiting.get(page) === controller) this.waiting.delete(page);
    }
  }

  async #loadPage(/** @type {number} */ page) {
    const { generation, asked } = this;
    try {
      const answer = await this.#fetch(page, asked);
      if (this.generation !== generation || this.asked !== asked) return;
      this.pages.set(page, answer.items);
      this.total = answer.total;
      for (const old of this.pages.keys()) {
        if (this.pages.size <= KEPT_PAGES) break;
        this.pages.delete(old);
      }
      this.emit("loaded", page);
    } catch (error) {
      if (!(error instanceof ApiError)) return; // given up on purpose
      setTimeout(() => this.generation === generation && this.ensure(this.visible.first, this.visible.last), AGAIN);
    }
  }

  #replace(/** @type {number[]} */ pages, /** @type {LoraList[]} */ answers) {
    this.pages = new Map(pages.map((page, at) => [page, answers[at]?.items ?? []]));
    this.total = answers[0]?.total ?? 0;
    const corrected = answers[0]?.corrected;
    this.corrected = corrected ? typedPart(corrected, this.asked.filters) : null;
    this.error = null;
    if (this.stale) {
      this.stale = false;
      this.emit("stale", false);
    }
  }

  #wouldMove(/** @type {number[]} */ pages, /** @type {LoraList[]} */ answers) {
    const fresh = new Map(pages.map((page, at) => [page, answers[at]?.items ?? []]));
    for (let index = this.visible.first; index <= this.visible.last; index += 1) {
      const before = this.get(index);
      if (before && fresh.get(Math.floor(index / PAGE))?.[index % PAGE]?.id !== before.id) return true;
    }
    return false;
  }

  #tellBad(/** @type {ApiError|null} */ bad) {
    if (this.bad === bad) return;
    this.bad = bad;
    this.emit("bad", bad);
  }

  #abortAll() {
    for (const controller of this.waiting.values()) controller.abort();
    this.waiting.clear();
  }
}

export const library = new Library();
