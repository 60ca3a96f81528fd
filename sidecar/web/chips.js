// The filters that are on, above the cards: each a click away from being taken off; and what can be done with such a list.
import { STATE_NAMES } from "./card.js";
import { collections } from "./collections.js";
import { find, h } from "./dom.js";
import { icon } from "./icons.js";
import { library } from "./library.js";
import { LISTS, query } from "./query.js";
import { saveSearch } from "./rail/collections.js";
import { pickName } from "./rail/picks.js";
import { forget } from "./select/bar.js";

export function startChips() {
  query.on("change", draw);
  collections.on("change", draw);
  draw();
}

function draw() {
  const { filters } = query;
  /** @type {HTMLElement[]} */
  const chips = [];
  const collection = filters.collection && collections.byId(filters.collection);
  if (filters.collection) chips.push(chip(collection ? collection.name : "Collection", () => query.set({ collection: "" })));
  if (filters.favorite) chips.push(chip("Favourites", () => query.set({ favorite: false })));
  for (const list of LISTS) {
    for (const value of filters[list]) chips.push(chip(nameOf(list, value), () => query.toggle(list, value), list === "not_tag", value));
  }
  if (chips.length > 1) chips.push(h("button", { class: "quiet", type: "button", onclick: () => query.clear() }, "Clear all"));
  if (filters.state.length === 1 && filters.state[0] === "missing") chips.push(forgetButton());
  if (query.narrowed && !isSavedAlone()) chips.push(saveButton());
  find("#chips").replaceChildren(...chips);
  const badge = find("#filter-count");
  badge.textContent = String(query.active);
  badge.hidden = query.active === 0;
}

/** Is a collection all that narrows the list? Then there is nothing to save. */
const isSavedAlone = () => query.active === 1 && query.filters.collection !== "" && query.filters.q === "";

function nameOf(/** @type {import("./query.js").ListFilter} */ list, /** @type {string} */ value) {
  if (list === "state") return STATE_NAMES[value] ?? (value === "ok" ? "Usable" : value);
  if (list === "folder") return value.split("/").pop() ?? value;
  return list === "label" || list === "rating" || list === "network" || list === "nsfw" ? pickName(list, value) : value;
}

function saveButton() {
  const save = h("button", { class: "quiet save-search", type: "button", title: "Keep this search in the list of collections" }, icon("plus"), "Save search");
  save.addEventListener("click", () => saveSearch(save));
  return save;
}

function forgetButton() {
  const button = h("button", { class: "quiet", type: "button", title: "Take missing files out of the list" }, icon("gone"), "Forget these…");
  button.addEventListener("click", () => void forget({ filter: library.asked.filter }));
  return button;
}

/** @param {string} text @param {() => void} remove @param {boolean} [not] @param {string} [title] */
function chip(text, remove, not = false, title = text) {
  return h(
    "button",
    { class: not ? "chip not" : "chip", type: "button", title, "aria-label": `Remove filter ${not ? "not " : ""}${text}`, onclick: remove },
    not && h("span", { class: "not-word" }, "not"),
    h("span", { class: "chip-text" }, text),
    icon("close"),
  );
}
