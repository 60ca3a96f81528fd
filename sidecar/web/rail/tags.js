// The rail's tags: a tree by "/", the most frequent first, with a search that reaches every tag of the library.
import { ApiError, request } from "../api.js";
import { debounce, h } from "../dom.js";
import { count } from "../format.js";
import { library } from "../library.js";
import { query } from "../query.js";
import { Rows, arrange, foldable, mark, twisty } from "./rows.js";

/** @typedef {import("../types.js").Facets} Facets */
/** @typedef {import("../types.js").Tag} Tag */
/** @typedef {{name: string, path: string, own: number|null, children: Branch[]}} Branch */

const SHOWN = 40;
const PAGE = 200;
const PARENTS = 20;

export class Tags {
  /** @param {() => boolean} busy is the user in the rail? */
  constructor(busy) {
    this.busy = busy;
    this.rows = new Rows();
    /** Counts in the present list; null: not counted, as the tag is not among the frequent ones. @type {Map<string, number|null>} */
    this.known = new Map();
    /** @type {Map<string, string|null>} */
    this.colors = new Map();
    /** Counts of tags together with what is below them. @type {Map<string, number>} */
    this.sums = new Map();
    /** @type {Set<string>} */
    this.unfolded = new Set();
    /** What the search found, null without one. @type {string[]|null} */
    this.found = null;
    this.shown = SHOWN;
    /** The next page of all tags; "" when there is no more. @type {string|null} */
    this.cursor = null;
    /** How many there are at the top of the tree. */
    this.roots = 0;
    this.turn = 0;
    this.list = h("div", { class: "options tree" });
    this.box = h("input", { type: "search", placeholder: "Find a tag", "aria-label": "Find a tag", autocomplete: "off" });
    this.more = h("button", { class: "quiet more", type: "button" });
    this.element = foldable("tag", "Tags", [this.box, this.list, this.more]);
    const search = debounce(() => void this.#search(), 120);
    this.box.addEventListener("input", () => {
      this.found = this.box.value.trim() ? this.#matching(this.box.value) : null;
      this.draw();
      search();
    });
    this.box.addEventListener("keydown", (event) => this.#key(event));
    this.more.addEventListener("click", () => void this.#showMore());
    this.countParents = debounce(() => void this.#countParents(), 300);
  }

  take(/** @type {Facets} */ facets) {
    const now = new Map(facets.tag.map(({ value, count: of }) => [value, of]));
    const complete = facets.tag.length < PAGE;
    for (const value of this.known.keys()) this.known.set(value, now.get(value) ?? (complete ? 0 : null));
    for (const { value, count: of, color } of facets.tag) {
      this.known.set(value, of);
      this.colors.set(value, color);
    }
    this.sums.clear();
    this.countParents();
  }

  draw() {
    const { tag, not_tag } = query.filters;
    const on = (/** @type {string} */ value) => tag.includes(value) || not_tag.includes(value);
    for (const value of [...tag, ...not_tag]) if (!this.known.has(value)) this.known.set(value, null);
    this.element.hidden = this.known.size === 0;
    /** @type {HTMLElement[]} */
    const elements = [];
    if (this.found) for (const value of this.found) elements.push(this.#row({ name: value, path: value, own: this.known.get(value) ?? null, children: [] }, 0).element);
    else {
      const roots = tree([...this.known].filter(([value, of]) => of !== 0 || on(value)));
      const weight = (/** @type {Branch} */ node) => this.sums.get(node.path) ?? Math.max(node.own ?? 0, ...node.children.map((one) => one.own ?? 0));
      const order = (/** @type {Branch} */ a, /** @type {Branch} */ b) =>
        Number(on(b.path)) - Number(on(a.path)) || weight(b) - weight(a) || a.name.localeCompare(b.name);
      const walk = (/** @type {Branch[]} */ level, /** @type {number} */ depth) => {
        for (const node of level.sort(order).slice(0, depth ? undefined : this.shown)) {
          elements.push(this.#row(node, depth).element);
          if (node.children.length && this.#isOpen(node.path)) walk(node.children, depth + 1);
        }
      };
      walk(roots, 0);
      this.roots = roots.length;
      const rest = roots.length - this.shown;
      this.more.hidden = rest <= 0 && (this.cursor === "" || this.known.size < PAGE);
      this.more.textContent = rest > 0 ? `Show ${count(rest)} more` : "Show more";
    }
    if (this.found) this.more.hidden = true;
    this.list.classList.toggle("has-parents", elements.some((one) => one.classList.contains("parent")));
    arrange(this.list, elements, this.busy() && document.activeElement !== this.box && !this.more.matches(":hover, :focus-visible"));
  }

  #isOpen(/** @type {string} */ path) {
    const inside = (/** @type {string} */ value) => value.startsWith(`${path}/`);
    return this.unfolded.has(path) || query.filters.tag.some(inside) || query.filters.not_tag.some(inside);
  }

  #row(/** @type {Branch} */ node, /** @type {number} */ depth) {
    const { path } = node;
    const { tag, not_tag } = query.filters;
    const text = this.found ? path : node.name;
    const row = this.rows.row(`tag/${path}`, text, (event) => query.toggle(event.altKey ? "not_tag" : "tag", path), {
      leaveOut: () => query.toggle("not_tag", path),
      name: path,
    });
    row.label.textContent = text;
    const color = this.colors.get(path);
    const dot = row.main.querySelector(".swatch");
    if (color && !dot) row.main.prepend(h("span", { class: `swatch ${color}` }));
    else if (dot) dot.className = color ? `swatch ${color}` : "swatch none";
    mark(row, tag.includes(path), node.children.length ? (this.sums.get(path) ?? node.own) : node.own);
    row.element.classList.toggle("excluded", not_tag.includes(path));
    row.element.style.setProperty("--depth", String(depth));
    row.element.classList.toggle("parent", node.children.length > 0);
    if (node.children.length) {
      twisty(row, node.name, true, this.#isOpen(path), () => {
        if (!this.unfolded.delete(path)) this.unfolded.add(path);
        this.draw();
      });
    } else row.element.querySelector(".twisty")?.remove();
    return row;
  }

  #matching(/** @type {string} */ text) {
    const wanted = text.trim().toLowerCase();
    return [...this.known.keys()].filter((value) => value.toLowerCase().includes(wanted));
  }

  async #search() {
    const wanted = this.box.value.trim();
    if (!wanted) return;
    this.turn += 1;
    const { turn } = this;
    const items = await this.#ask({ q: wanted, limit: "60" });
    if (turn !== this.turn || this.box.value.trim() !== wanted || !items) return;
    this.found = items.map(({ name }) => name);
    this.draw();
  }

  /** Tags as the sidecar lists them, taken up among the known ones. @returns {Promise<Tag[]|null>} */
  async #ask(/** @type {Record<string, string>} */ parameters) {
    try {
      const answer = await request("GET", `tags?${new URLSearchParams(parameters)}`);
      for (const { name, color, count: of } of /** @type {Tag[]} */ (answer.items)) {
        this.colors.set(name, color);
        if (!this.known.has(name)) this.known.set(name, query.narrowed ? null : of);
      }
      if (!("q" in parameters)) this.cursor = answer.next_cursor ?? "";
      return answer.items;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return null;
    }
  }

  async #showMore() {
    this.shown += PAGE;
    while (this.roots < this.shown && this.cursor !== "") {
      if (!(await this.#ask({ limit: "1000", cursor: this.cursor ?? "0" }))) break;
      this.draw();
    }
    this.draw();
  }

  /** A tag that stands for all below it has as many LoRAs as the list filtered by it. */
  async #countParents() {
    if (this.element.hidden) return;
    const { asked } = library;
    const parents = [...this.list.querySelectorAll(".parent")].slice(0, PARENTS);
    for (const element of parents) {
      const path = element instanceof HTMLElement ? (element.dataset["key"] ?? "").slice(4) : "";
      if (!path || this.sums.has(path)) continue;
      const parameters = new URLSearchParams(asked.parameters);
      parameters.append("tag", path);
      parameters.set("limit", "1");
      try {
        const { total } = await request("GET", `loras?${parameters}`);
        if (asked !== library.asked) return;
        this.sums.set(path, total);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        return;
      }
    }
    if (parents.length) this.draw();
  }

  /** Enter takes the tag that is called so, or what was typed. */
  #key(/** @type {KeyboardEvent} */ event) {
    const text = this.box.value.trim();
    if (!text || (event.key !== "Escape" && event.key !== "Enter")) return;
    if (event.key === "Escape") event.stopPropagation();
    else {
      const exact = [...this.known.keys()].find((value) => value.toLowerCase() === text.toLowerCase());
      query.toggle(event.altKey ? "not_tag" : "tag", exact ?? text);
    }
    this.box.value = "";
    this.found = null;
    this.draw();
  }
}

/** Tags as a tree; a level that is no tag itself has no count of its own. */
function tree(/** @type {[string, number|null][]} */ tags) {
  /** @type {Map<string, Branch>} */
  const nodes = new Map();
  /** @type {Branch[]} */
  const roots = [];
  const node = (/** @type {string} */ path) => {
    let found = nodes.get(path);
    if (found) return found;
    const last = path.lastIndexOf("/");
    const cut = last === path.length - 1 ? -1 : last; // a slash at the end is part of the name
    found = { name: path.slice(cut + 1), path, own: null, children: [] };
    nodes.set(path, found);
    (cut <= 0 ? roots : node(path.slice(0, cut)).children).push(found);
    return found;
  };
  for (const [path, own] of tags) node(path).own = own;
  return roots;
}
