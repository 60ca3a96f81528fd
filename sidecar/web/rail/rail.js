// The filter rail: every value with its count; a click filters, the minus on a tag leaves it out.
// While the pointer or the keyboard is in the rail, rows keep their places and only counts change.
import { ApiError, request } from "../api.js";
import { STATE_NAMES } from "../card.js";
import { h, throttle } from "../dom.js";
import { live } from "../events.js";
import { folderTree } from "../folders.js";
import { count, hue } from "../format.js";
import { icon } from "../icons.js";
import { library } from "../library.js";
import { query } from "../query.js";
import { CollectionRows } from "./collections.js";
import { Picks } from "./picks.js";
import { Rows, arrange, foldable, mark, twisty } from "./rows.js";
import { Tags } from "./tags.js";

/** @typedef {import("../types.js").Facets} Facets */

/** Lists longer than this have a search of their own. */
const SEARCHABLE = 14;

export class FilterRail extends HTMLElement {
  constructor() {
    super();
    const busy = () => this.busy;
    this.rows = new Rows();
    /** Values seen so far, with their present counts; kept so that a filter never makes its neighbours vanish. */
    this.known = {
      base_model: /** @type {Map<string, number>} */ (new Map()),
      state: /** @type {Map<string, number>} */ (new Map()),
      folder: /** @type {Map<string, number>} */ (new Map()),
    };
    /** @type {Set<string>} */
    this.unfolded = new Set();
    this.favorite = this.rows.row("favorite/", "Favourites", () => query.set({ favorite: !query.filters.favorite }), { sign: icon("star") });
    this.hiddenOnes = this.rows.row("hidden/", "Show hidden", () => query.set({ hidden: !query.filters.hidden }), { sign: icon("hide") });
    this.hiddenOnes.main.setAttribute("role", "switch");
    /** @type {number|null} null until it is known */
    this.hiddenCount = null;
    this.lists = {
      base_model: h("div", { class: "options" }),
      state: h("div", { class: "options" }),
      folder: h("div", { class: "options tree" }),
    };
    this.boxes = { base_model: this.#searchBox("Find a base model"), folder: this.#searchBox("Find a folder") };
    this.sections = {
      base_model: foldable("base_model", "Base model", [this.boxes.base_model, this.lists.base_model]),
      state: foldable("state", "State", [this.lists.state]),
      folder: foldable("folder", "Folders", [this.boxes.folder, this.lists.folder]),
    };
    this.picks = { label: new Picks("label"), rating: new Picks("rating"), network: new Picks("network"), nsfw: new Picks("nsfw") };
    this.collections = new CollectionRows(busy);
    this.tags = new Tags(busy);
  }

  connectedCallback() {
    const { sections, picks } = this;
    for (const made of Object.values(sections)) made.hidden = true;
    this.append(
      h("section", { class: "section-first", "aria-label": "Favourites" }, this.favorite.element, this.hiddenOnes.element),
      this.collections.element,
      sections.base_model,
      picks.label.element,
      picks.rating.element,
      sections.state,
      sections.folder,
      picks.network.element,
      picks.nsfw.element,
      this.tags.element,
    );
    this.addEventListener("pointerleave", () => this.#draw());
    this.addEventListener("focusout", () => setTimeout(() => this.#draw()));
    this.addEventListener("keydown", (event) => this.#walk(event));
    library.on("facets", (facets) => this.#take(facets));
    library.on("reset", () => this.#draw());
    query.on("change", () => this.#draw());
    const recount = throttle(() => void this.#countHidden(), 2000);
    for (const type of ["library.changed", "lora.edited", "reset"]) live.on(type, recount);
  }

  get busy() {
    return this.matches(":hover") || this.querySelector(":focus-visible") !== null;
  }

  #searchBox(/** @type {string} */ label) {
    const box = h("input", { type: "search", placeholder: label, "aria-label": label, autocomplete: "off" });
    box.addEventListener("input", () => this.#draw());
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !box.value) return;
      event.stopPropagation();
      box.value = "";
      this.#draw();
    });
    return box;
  }

  #take(/** @type {Facets} */ facets) {
    for (const list of /** @type {const} */ (["base_model", "state", "folder"])) {
      const now = new Map(facets[list].map(({ value, count: of }) => [value, of]));
      const known = this.known[list];
      for (const value of known.keys()) known.set(value, now.get(value) ?? 0);
      for (const [value, of] of now) known.set(value, of);
    }
    for (const picks of Object.values(this.picks)) picks.take(facets);
    this.tags.take(facets);
    this.favorite.number.textContent = count(facets.favorite);
    if (this.hiddenCount === null) void this.#countHidden();
    this.#draw();
  }

  /** The list leaves hidden ones out, so its counts do not know how many there are. */
  async #countHidden() {
    try {
      this.hiddenCount = (await request("GET", "loras?q=is%3Ahidden&limit=1")).total;
      this.#draw();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  #draw() {
    const { filters } = query;
    this.favorite.main.setAttribute("aria-pressed", String(filters.favorite));
    this.favorite.element.classList.toggle("on", filters.favorite);
    this.hiddenOnes.main.setAttribute("aria-checked", String(filters.hidden));
    mark(this.hiddenOnes, filters.hidden, this.hiddenCount);
    this.hiddenOnes.main.removeAttribute("aria-pressed");
    this.hiddenOnes.element.hidden = !this.hiddenCount && !filters.hidden;
    this.#fill("base_model");
    this.#fill("state", (value) => STATE_NAMES[value] ?? (value === "ok" ? "Usable" : value));
    this.sections.base_model.hidden = this.known.base_model.size === 0;
    this.sections.state.hidden = ![...this.known.state.keys()].some((value) => value !== "ok");
    this.sections.folder.hidden = this.known.folder.size === 0;
    this.collections.draw();
    for (const picks of Object.values(this.picks)) picks.draw();
    this.#drawFolders();
    this.tags.draw();
  }

  /**
   * @param {"base_model"|"state"} list
   * @param {(value: string) => string} [name]
   */
  #fill(list, name = (value) => value) {
    const box = list === "base_model" ? this.boxes.base_model : null;
    const wanted = box?.value.trim().toLowerCase() ?? "";
    for (const value of query.filters[list]) if (!this.known[list].has(value)) this.known[list].set(value, 0);
    if (box) box.hidden = this.known[list].size <= SEARCHABLE;
    const rows = [...this.known[list]]
      .filter(([value]) => name(value).toLowerCase().includes(wanted))
      .map(([value, of]) => {
        const row = this.rows.row(`${list}/${value}`, name(value), () => query.toggle(list, value), { sign: list === "base_model" ? dot(value) : null });
        mark(row, query.filters[list].includes(value), of);
        return row.element;
      });
    arrange(this.lists[list], rows, this.busy && document.activeElement !== box);
  }

  #drawFolders() {
    const roots = folderTree(this.known.folder);
    const { folder: box } = this.boxes;
    const wanted = box.value.trim().toLowerCase();
    box.hidden = this.known.folder.size <= SEARCHABLE;
    /** @type {HTMLElement[]} */
    const rows = [];
    const open = (/** @type {string} */ path) =>
      this.unfolded.has(path) || query.filters.folder.some((folder) => folder.startsWith(`${path}/`)) || (roots.length === 1 && path === roots[0]?.path);
    const walk = (/** @type {import("../folders.js").FolderNode[]} */ level, /** @type {number} */ depth) => {
      for (const node of level) {
        const fits = wanted === "" || node.name.toLowerCase().includes(wanted);
        if (fits) rows.push(this.#folderRow(node, wanted ? 0 : depth, open(node.path), wanted !== ""));
        if (node.children.length && (wanted || open(node.path))) walk(node.children, depth + 1);
      }
    };
    walk(roots, 0);
    arrange(this.lists.folder, rows, false);
  }

  /**
   * @param {import("../folders.js").FolderNode} node
   * @param {number} depth
   * @param {boolean} open
   * @param {boolean} flat found by a search: without its place in the tree
   */
  #folderRow(node, depth, open, flat) {
    const row = this.rows.row(`folder/${node.path}`, node.name, () => query.toggle("folder", node.path), { sign: icon("folder") });
    mark(row, query.filters.folder.includes(node.path), node.sum);
    row.element.style.setProperty("--depth", String(depth));
    row.main.title = node.path;
    twisty(row, node.name, node.children.length > 0 && !flat, open, () => {
      if (!this.unfolded.delete(node.path)) this.unfolded.add(node.path);
      this.#drawFolders();
    });
    return row.element;
  }

  /** Arrow keys go from row to row. */
  #walk(/** @type {KeyboardEvent} */ event) {
    if ((event.key !== "ArrowDown" && event.key !== "ArrowUp") || event.altKey || event.ctrlKey || event.metaKey) return;
    const stops = [...this.querySelectorAll("input, .option-main, .pick, .fold, .more")].filter((one) => one instanceof HTMLElement && one.checkVisibility());
    const at = stops.findIndex((one) => one === document.activeElement);
    const next = stops[at + (event.key === "ArrowDown" ? 1 : -1)];
    if (at < 0 || !(next instanceof HTMLElement)) return;
    event.preventDefault();
    next.focus();
  }
}

function dot(/** @type {string} */ base) {
  const degrees = hue(base);
  return h("span", { class: degrees < 0 ? "dot grey" : "dot", style: { "--hue": Math.max(0, degrees) } });
}

customElements.define("filter-rail", FilterRail);
