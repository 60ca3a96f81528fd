// The filter rail: every value with its count; a click filters, the minus on a tag leaves it out.
// While the pointer or the keyboard is in the rail, rows keep their places and only counts change.
import { STATE_NAMES } from "./card.js";
import { find, h } from "./dom.js";
import { folderTree } from "./folders.js";
import { count, hue } from "./format.js";
import { icon } from "./icons.js";
import { library } from "./library.js";
import { query } from "./query.js";

/** @typedef {import("./types.js").Count} Count */
/** @typedef {{element: HTMLElement, main: HTMLButtonElement, number: HTMLElement, label: HTMLElement}} Row */

const TAGS_SHOWN = 40;

export class FilterRail extends HTMLElement {
  constructor() {
    super();
    /** @type {Map<string, Row>} by "list/value" */
    this.rows = new Map();
    /** Values seen so far, with their present counts; kept so that a filter never makes its neighbours vanish. */
    this.known = {
      base_model: /** @type {Map<string, number>} */ (new Map()),
      state: /** @type {Map<string, number>} */ (new Map()),
      folder: /** @type {Map<string, number>} */ (new Map()),
      tag: /** @type {Map<string, number>} */ (new Map()),
    };
    /** @type {Set<string>} */
    this.unfolded = new Set();
    this.allTags = false;
    /** @type {Record<string, HTMLElement>} */
    this.sections = {};
    this.favorite = this.#row("favorite/", "Favourites", () => query.set({ favorite: !query.filters.favorite }), icon("star"));
    this.lists = {
      base_model: h("div", { class: "options" }),
      state: h("div", { class: "options" }),
      folder: h("div", { class: "options tree" }),
      tag: h("div", { class: "options" }),
    };
    this.tagBox = h("input", { type: "search", placeholder: "Find a tag", "aria-label": "Find a tag", autocomplete: "off" });
    this.moreTags = h("button", { class: "quiet more", type: "button" });
  }

  connectedCallback() {
    const section = (/** @type {string} */ name, /** @type {string} */ title, /** @type {Node[]} */ ...parts) => {
      const made = h("section", { "aria-label": title, hidden: true }, h("h2", null, title), ...parts);
      this.sections[name] = made;
      return made;
    };
    this.append(
      h("section", { "aria-label": "Favourites" }, this.favorite.element),
      section("base_model", "Base model", this.lists.base_model),
      section("state", "State", this.lists.state),
      section("folder", "Folders", this.lists.folder),
      section("tag", "Tags", this.tagBox, this.lists.tag, this.moreTags),
    );
    this.tagBox.addEventListener("input", () => this.#drawTags());
    this.tagBox.addEventListener("keydown", (event) => this.#tagKey(event));
    this.moreTags.addEventListener("click", () => {
      this.allTags = !this.allTags;
      this.#drawTags();
    });
    this.addEventListener("pointerleave", () => this.#draw());
    this.addEventListener("focusout", () => setTimeout(() => this.#draw()));
    library.on("facets", (facets) => this.#take(facets));
    library.on("reset", () => this.#draw());
    query.on("change", () => this.#draw());
  }

  get #busy() {
    return this.matches(":hover") || this.querySelector(":focus-visible") !== null;
  }

  #take(/** @type {import("./types.js").Facets} */ facets) {
    for (const list of /** @type {const} */ (["base_model", "state", "folder", "tag"])) {
      const now = new Map(facets[list].map(({ value, count: of }) => [value, of]));
      const known = this.known[list];
      for (const value of known.keys()) known.set(value, now.get(value) ?? 0);
      for (const [value, of] of now) known.set(value, of);
    }
    this.favorite.number.textContent = count(facets.favorite);
    this.#draw();
  }

  #draw() {
    const { filters } = query;
    this.#mark(this.favorite, filters.favorite);
    this.#fill("base_model", [...this.known.base_model], this.lists.base_model);
    this.#fill("state", [...this.known.state], this.lists.state, (value) => STATE_NAMES[value] ?? (value === "ok" ? "Usable" : value));
    for (const [list, made] of Object.entries(this.sections)) {
      const known = [...this.known[/** @type {keyof typeof this.known} */ (list)].keys()];
      made.hidden = list === "state" ? !known.some((value) => value !== "ok") : known.length === 0;
    }
    this.#drawFolders();
    this.#drawTags();
  }

  /**
   * @param {"base_model"|"state"} list
   * @param {[string, number][]} values
   * @param {HTMLElement} place
   * @param {(value: string) => string} [name]
   */
  #fill(list, values, place, name = (value) => value) {
    const rows = values.map(([value, of]) => {
      const row = this.#row(`${list}/${value}`, name(value), () => query.toggle(list, value), list === "base_model" ? dot(value) : null);
      this.#mark(row, query.filters[list].includes(value), of);
      return row.element;
    });
    arrange(place, rows, this.#busy);
  }

  #drawTags() {
    const wanted = this.tagBox.value.trim().toLowerCase();
    const { tag, not_tag } = query.filters;
    for (const value of [...tag, ...not_tag]) if (!this.known.tag.has(value)) this.known.tag.set(value, 0);
    const on = (/** @type {string} */ value) => tag.includes(value) || not_tag.includes(value);
    let values = [...this.known.tag].filter(([value, of]) => (of > 0 || on(value)) && value.toLowerCase().includes(wanted));
    values.sort((a, b) => Number(on(b[0])) - Number(on(a[0])) || b[1] - a[1] || a[0].localeCompare(b[0]));
    const more = values.length - TAGS_SHOWN;
    if (!this.allTags && !wanted) values = values.slice(0, TAGS_SHOWN);
    this.moreTags.hidden = more <= 0 || wanted !== "";
    this.moreTags.textContent = this.allTags ? "Show fewer" : `Show ${count(more)} more`;
    const rows = values.map(([value, of]) => {
      const row = this.#row(`tag/${value}`, value, (event) => query.toggle(event.altKey ? "not_tag" : "tag", value), null, () =>
        query.toggle("not_tag", value),
      );
      this.#mark(row, tag.includes(value), of);
      row.element.classList.toggle("excluded", not_tag.includes(value));
      return row.element;
    });
    arrange(this.lists.tag, rows, this.#busy && document.activeElement !== this.tagBox);
  }

  /** A tag that is not among the most frequent can still be filtered by: type it, press Enter. */
  #tagKey(/** @type {KeyboardEvent} */ event) {
    const text = this.tagBox.value.trim();
    if (event.key === "Escape" && text) {
      event.stopPropagation();
      this.tagBox.value = "";
      this.#drawTags();
    } else if (event.key === "Enter" && text) {
      const exact = [...this.known.tag.keys()].find((value) => value.toLowerCase() === text.toLowerCase());
      this.tagBox.value = "";
      query.toggle(event.altKey ? "not_tag" : "tag", exact ?? text);
    }
  }

  #drawFolders() {
    const roots = folderTree(this.known.folder);
    /** @type {HTMLElement[]} */
    const rows = [];
    const open = (/** @type {string} */ path) =>
      this.unfolded.has(path) || query.filters.folder.some((folder) => folder.startsWith(`${path}/`)) || (roots.length === 1 && path === roots[0]?.path);
    const walk = (/** @type {import("./folders.js").FolderNode[]} */ level, /** @type {number} */ depth) => {
      for (const node of level) {
        const row = this.#row(`folder/${node.path}`, node.name, () => query.toggle("folder", node.path), icon("folder"));
        this.#mark(row, query.filters.folder.includes(node.path), node.sum);
        row.element.style.setProperty("--depth", String(depth));
        row.main.title = node.path;
        this.#twisty(row, node, open(node.path));
        rows.push(row.element);
        if (node.children.length && open(node.path)) walk(node.children, depth + 1);
      }
    };
    walk(roots, 0);
    arrange(this.lists.folder, rows, false);
  }

  #twisty(/** @type {Row} */ row, /** @type {import("./folders.js").FolderNode} */ node, /** @type {boolean} */ open) {
    let twisty = /** @type {HTMLButtonElement|null} */ (row.element.querySelector(".twisty"));
    if (!twisty) {
      twisty = h("button", { class: "twisty", type: "button" }, icon("right"));
      twisty.addEventListener("click", () => {
        if (this.unfolded.has(node.path)) this.unfolded.delete(node.path);
        else this.unfolded.add(node.path);
        this.#drawFolders();
      });
      row.element.prepend(twisty);
    }
    twisty.style.visibility = node.children.length ? "visible" : "hidden";
    twisty.setAttribute("aria-expanded", String(open));
    twisty.setAttribute("aria-label", `${open ? "Fold" : "Unfold"} ${node.name}`);
  }

  /**
   * @param {string} key
   * @param {string} text
   * @param {(event: MouseEvent) => void} click
   * @param {Node|null} [sign]
   * @param {() => void} [leaveOut]
   * @returns {Row}
   */
  #row(key, text, click, sign = null, leaveOut) {
    const kept = this.rows.get(key);
    if (kept) return kept;
    const number = h("span", { class: "number" });
    const label = h("span", { class: "label" }, text);
    const main = h("button", { class: "option-main", type: "button", title: text, onclick: click }, sign, label, number);
    const element = h("div", { class: "option", "data-key": key }, main);
    if (leaveOut) {
      element.append(h("button", { class: "leave-out", type: "button", title: "Leave out (Alt+click)", "aria-label": `Leave out ${text}`, onclick: leaveOut }, icon("minus")));
    }
    const row = { element, main, number, label };
    this.rows.set(key, row);
    return row;
  }

  /** @param {Row} row @param {boolean} on @param {number} [of] */
  #mark(row, on, of) {
    row.main.setAttribute("aria-pressed", String(on));
    row.element.classList.toggle("on", on);
    if (of === undefined) return;
    row.number.textContent = count(of);
    row.element.classList.toggle("none", of === 0 && !on);
  }
}

/** Put rows in this order; with `keep`, rows that are there already stay where they are and new ones go to the end. */
function arrange(/** @type {HTMLElement} */ place, /** @type {HTMLElement[]} */ rows, /** @type {boolean} */ keep) {
  const there = [...place.children];
  if (there.length === rows.length && there.every((row, at) => row === rows[at])) return;
  if (keep && there.length) place.append(...rows.filter((row) => row.parentElement !== place));
  else place.replaceChildren(...rows);
}

function dot(/** @type {string} */ base) {
  const degrees = hue(base);
  return h("span", { class: degrees < 0 ? "dot grey" : "dot", style: { "--hue": Math.max(0, degrees) } });
}

customElements.define("filter-rail", FilterRail);

/** On narrow windows the rail is a sheet over the grid. */
export function startSheet() {
  const rail = find("filter-rail");
  const button = find("#filters-button");
  const open = (/** @type {boolean} */ on) => {
    document.body.classList.toggle("rail-open", on);
    button.setAttribute("aria-expanded", String(on));
    if (on) rail.querySelector("button")?.focus();
    else if (rail.contains(document.activeElement)) button.focus();
  };
  button.addEventListener("click", () => open(!document.body.classList.contains("rail-open")));
  find("#rail-close").addEventListener("click", () => open(false));
  find("#shade").addEventListener("click", () => open(false));
  return { close: () => open(false), isOpen: () => document.body.classList.contains("rail-open") };
}
