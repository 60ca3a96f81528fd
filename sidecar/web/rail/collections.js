// The rail's collections: a click filters, cards can be dropped on those picked by hand.
import { attempt } from "../ask.js";
import { collections } from "../collections.js";
import { h } from "../dom.js";
import { wholeQuery } from "../find/text.js";
import { icon } from "../icons.js";
import { menuButton, openMenu } from "../popup.js";
import { query } from "../query.js";
import { dragged, DRAG_TYPE } from "../select/drag.js";
import { toast } from "../toast.js";
import { openCollectionForm } from "./collection-form.js";
import { Rows, arrange, foldable, mark } from "./rows.js";

/** @typedef {import("../types.js").Collection} Collection */

/** The present search as text, with the collection that is on. */
const presentQuery = () => wholeQuery(query.filters, collections.byId(query.filters.collection)?.name ?? "");

/** Ask for a name and save the present search under it. */
export function saveSearch(/** @type {HTMLElement} */ anchor) {
  const text = presentQuery();
  openCollectionForm(anchor, {
    title: "Save this search",
    action: "Save",
    query: text,
    submit: async (values) => {
      const made = await collections.create({ ...values, query: text, sort: query.filters.sort || null });
      toast(`Saved: ${made.name}. It is in the list under Collections.`);
    },
  });
}

/** Ask for a name and make an empty collection; `then` gets it. */
export function newCollection(/** @type {HTMLElement} */ anchor, then = (/** @type {Collection} */ made) => void toast(`${made.name} is there. Drag cards onto it, or select some and choose Collection.`)) {
  openCollectionForm(anchor, { title: "New collection", action: "Create", submit: async (values) => then(await collections.create(values)) });
}

export class CollectionRows {
  /** @param {() => boolean} busy */
  constructor(busy) {
    this.busy = busy;
    this.rows = new Rows();
    this.list = h("div", { class: "options" });
    this.hint = h("p", { class: "hint rail-hint" }, "Save a search, or pick LoRAs into a collection.");
    const add = h("button", { class: "icon-button tiny", type: "button", title: "New collection or saved search", "aria-label": "New collection or saved search" }, icon("plus"));
    add.addEventListener("click", () => {
      if (!query.narrowed) return newCollection(add);
      return openMenu(add, "New", [
        { label: "Save this search…", icon: "search", run: () => saveSearch(add) },
        { label: "New collection…", icon: "layers", run: () => newCollection(add) },
      ]);
    });
    this.element = foldable("collection", "Collections", [this.list, this.hint], add);
    collections.on("change", () => this.draw());
  }

  draw() {
    const rows = collections.items.map((one) => this.#row(one));
    this.hint.hidden = rows.length > 0;
    arrange(this.list, rows, false);
  }

  #row(/** @type {Collection} */ collection) {
    const { id } = collection;
    const smart = collection.query !== null;
    const now = () => collections.byId(id) ?? collection;
    const key = `collection/${id}`;
    const row = this.rows.kept.get(key) ?? this.#makeRow(key, collection, now);
    row.label.textContent = collection.name;
    row.element.querySelector(".at-end")?.setAttribute("aria-label", `${collection.name}: more`);
    row.main.title = smart ? `${collection.name}: ${collection.query}` : collection.name;
    row.main.querySelector(".collection-sign")?.setAttribute("class", `collection-sign swatch ${collection.color ?? ""}`);
    mark(row, query.filters.collection === String(id), collection.count);
    return row.element;
  }

  #makeRow(/** @type {string} */ key, /** @type {Collection} */ collection, /** @type {() => Collection} */ now) {
    const smart = collection.query !== null;
    const end = menuButton(`${collection.name}: more`, "more", () => this.#menu(now(), end));
    end.className = "at-end";
    const sign = h("span", { class: "collection-sign" }, icon(smart ? "search" : "layers"));
    const row = this.rows.row(key, collection.name, () => this.#toggle(now()), { sign, end });
    if (!smart) this.#takeDrops(row.element, now);
    return row;
  }

  #toggle(/** @type {Collection} */ { id, sort }) {
    const on = query.filters.collection === String(id);
    query.set({ collection: on ? "" : String(id), ...(sort && !on ? { sort } : {}) });
  }

  /** @returns {(import("../popup.js").MenuItem|null)[]} */
  #menu(/** @type {Collection} */ collection, /** @type {HTMLElement} */ anchor) {
    const { id, name, color } = collection;
    const rename = () =>
      openCollectionForm(anchor, { title: "Name and colour", action: "Save", name, color, submit: (values) => collections.change(id, values) });
    const edit = () => query.set({ q: collection.query ?? "", ...NOTHING_ELSE });
    const replace = async () => {
      const text = presentQuery();
      if (await attempt(async () => (await collections.change(id, { query: text }), true), { failed: "Not saved" })) toast(`${name} now is:`, { code: text });
    };
    const own = query.filters.collection === String(id);
    return [
      { label: "Name and colour…", icon: "edit", run: rename },
      ...(collection.query === null ? [] : [{ label: "Show as a search", icon: /** @type {const} */ ("search"), run: edit }]),
      ...(collection.query !== null && query.narrowed && !own ? [{ label: "Replace by the present search", icon: /** @type {const} */ ("refresh"), run: () => void replace() }] : []),
      null,
      { label: "Delete", icon: "trash", danger: true, run: () => void this.#delete(collection) },
    ];
  }

  async #delete(/** @type {Collection} */ collection) {
    if (!(await collections.remove(collection))) return;
    if (query.filters.collection === String(collection.id)) query.set({ collection: "" });
  }

  #takeDrops(/** @type {HTMLElement} */ element, /** @type {() => Collection} */ collection) {
    const over = (/** @type {DragEvent} */ event) => {
      if (!event.dataTransfer?.types.includes(DRAG_TYPE)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      element.classList.add("drop");
    };
    element.addEventListener("dragenter", over);
    element.addEventListener("dragover", over);
    element.addEventListener("dragleave", (event) => !element.contains(/** @type {Node|null} */ (event.relatedTarget)) && element.classList.remove("drop"));
    element.addEventListener("drop", (event) => {
      element.classList.remove("drop");
      const load = dragged();
      if (!load) return;
      event.preventDefault();
      void load.chosen().then((chosen) => collections.pick(collection(), "add", chosen, load.many));
    });
  }
}

/** @type {Partial<import("../query.js").Filters>} */
const NOTHING_ELSE = { base_model: [], tag: [], not_tag: [], folder: [], state: [], label: [], rating: [], network: [], nsfw: [], collection: "", favorite: false };
