// The page of sets: all of them as cards; #page=sets/12 is one of them being edited, #page=sets/new a new one.
import { copy } from "../actions.js";
import { request } from "../api.js";
import { bridge } from "../bridge.js";
import { debounce, find, h, throttle } from "../dom.js";
import { live } from "../events.js";
import { count, plural } from "../format.js";
import { icon } from "../icons.js";
import { menuButton } from "../popup.js";
import { preferences } from "../preferences.js";
import { query } from "../query.js";
import { fill, nothing } from "../pages/parts.js";
import { deleteSet, duplicate, tagOfSet, useLabel, useSet } from "./actions.js";
import { Editor, hasDraft } from "./editor.js";
import { chooseImport, exportSet, importFiles } from "./exchange.js";
import { baseDot, baseOf, missingIn, setPicture } from "./picture.js";

/** @typedef {import("../types.js").LoraSet} LoraSet */

const PAGE = 60;
const SORTS = /** @type {[string, string][]} */ ([["name", "Name"], ["-modified", "Last changed"], ["-created", "Newest"]]);

let over = new AbortController();
/** @type {Editor|null} */
let editor = null;
/** What is looked for and how it is sorted; stays while another page is open. */
const asked = { q: "", sort: localStorage.getItem("sets-sort") ?? "name" };
/** How many are shown. */
let shown = PAGE;

/** @returns {Promise<void>} */
export async function open(/** @type {HTMLElement} */ container) {
  over = new AbortController();
  const which = query.page?.split("/")[1] ?? "";
  if (which) {
    editor = new Editor(container, which === "new" ? null : Number(which), over.signal);
    await editor.open();
  } else await openList(container);
}

export function close() {
  over.abort();
  editor?.leave();
  editor = null;
}

async function openList(/** @type {HTMLElement} */ container) {
  const { signal } = over;
  const make = h("button", { class: "small-button strong", type: "button" }, icon("plus"), "New set");
  make.addEventListener("click", () => query.setPage("sets/new"));
  const take = h("button", { class: "small-button", type: "button", title: "Sets that were saved as files" }, icon("upload"), "Import…");
  take.addEventListener("click", chooseImport);
  find("#page-tools").append(take, make);

  const box = h("input", { type: "search", value: asked.q, placeholder: "Search names, LoRAs, text", "aria-label": "Search sets", autocomplete: "off", spellcheck: false });
  const sort = h("select", { "aria-label": "Order" }, ...SORTS.map(([value, text]) => h("option", { value, selected: value === asked.sort }, text)));
  const many = h("span", { class: "sets-count", role: "status" });
  const list = h("div", { class: "set-cards", role: "list", "aria-label": "Sets" });
  const more = h("button", { class: "small-button more-rows", type: "button", hidden: true }, "Show more");
  const line = h("div", { class: "sets-line" }, h("span", { class: "sets-search" }, icon("search"), box), h("span", { class: "select" }, icon("sort"), sort), many);
  container.append(line, list, more);

  let turn = 0;
  const load = async () => {
    turn += 1;
    const mine = turn;
    const parameters = new URLSearchParams({ ...asked, limit: String(Math.min(1000, shown)) });
    await fill(list, () => request("GET", `sets?${parameters}`), ({ items, total }) => {
      if (mine !== turn || signal.aborted) return;
      const focused = document.activeElement?.closest("[data-set]")?.getAttribute("data-set");
      line.hidden = !total && !asked.q;
      many.textContent = plural(total, "set");
      more.hidden = items.length >= total || shown >= 1000;
      more.textContent = `Show more of ${count(total)}`;
      list.replaceChildren(...(items.length ? items.map(card) : [none()]));
      const again = focused ? list.querySelector(`[data-set="${focused}"] .set-open`) : null;
      if (again instanceof HTMLElement) again.focus({ preventScroll: true });
    });
  };
  const soon = debounce(() => void load(), 150);
  box.addEventListener("input", () => {
    asked.q = box.value.trim();
    shown = PAGE;
    soon();
  });
  sort.addEventListener("change", () => {
    asked.sort = sort.value;
    localStorage.setItem("sets-sort", sort.value);
    void load();
  });
  more.addEventListener("click", () => {
    shown += 2 * PAGE;
    void load();
  });
  const again = throttle(() => void (signal.aborted || load()), 500);
  for (const type of ["sets.changed", "library.changed", "reset"]) live.addEventListener(type, again, { signal });
  preferences.addEventListener("change", again, { signal });
  for (const type of ["host", "prompt"]) bridge.addEventListener(type, () => markUse(list), { signal });
  takeDrops(container, signal);
  await load();
}

function none() {
  if (asked.q) return nothing("search", "No set is like that", [`Nothing holds “${asked.q}”.`]);
  const make = h("button", { class: "small-button strong", type: "button", onclick: () => query.setPage("sets/new") }, icon("plus"), "New set");
  const box = nothing("list", "No sets yet", ["A set is a list of LoRAs with their weights, words and text, under a name. ", h("code", null, "<set:NAME>"), " in a prompt stands for all of it, in any tab."]);
  box.append(make, h("p", { class: "hint" }, "Or choose LoRAs in the library, then More, Save as set."));
  return box;
}

/** Files that are dropped on the page are imported. */
function takeDrops(/** @type {HTMLElement} */ container, /** @type {AbortSignal} */ signal) {
  container.addEventListener("dragover", (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault(), { signal });
  container.addEventListener("drop", (event) => {
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    void importFiles(files);
  }, { signal });
}

function card(/** @type {LoraSet} */ set) {
  const missing = missingIn(set);
  const base = baseOf(set);
  const way = h("a", { class: "set-open", href: `#page=sets/${set.id}`, title: set.notes || set.name }, set.name);
  way.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    query.setPage(`sets/${set.id}`);
  });
  const use = h("button", { class: "set-use small-button", type: "button", title: tagOfSet(set), "data-name": set.name });
  use.addEventListener("click", () => useSet(set));
  const menu = menuButton(`More for ${set.name}`, "more", () => menuOf(set));
  const gone = missing.length > 0 && h("span", { class: "set-missing", title: `Not in the library: ${missing.map(({ name }) => name).join(", ")}` }, icon("warn"), `${count(missing.length)} missing`);
  const element = h(
    "article",
    { class: "set-card", role: "listitem", "data-set": set.id, "aria-label": set.name },
    setPicture(set),
    h("div", { class: "set-caption" }, h("h2", null, way), h("div", { class: "set-facts" }, base && h("span", { class: "set-base" }, baseDot(base), base), h("span", null, set.loras.length ? plural(set.loras.length, "LoRA") : "Text only"), gone, hasDraft(set.id) && h("span", { class: "set-unsaved" }, "Not saved"))),
    h("div", { class: "set-tools" }, use, menu),
  );
  drawUse(use);
  return element;
}

function drawUse(/** @type {HTMLElement} */ button) {
  const set = { name: button.dataset["name"] ?? "" };
  const label = useLabel(set);
  button.replaceChildren(icon(label === "Copy" ? "copy" : label === "Insert" ? "plus" : "minus"), label);
  button.setAttribute("aria-label", `${label} ${tagOfSet(set)}`);
}

function markUse(/** @type {HTMLElement} */ list) {
  for (const button of list.querySelectorAll(".set-use")) if (button instanceof HTMLElement) drawUse(button);
}

/** @returns {(import("../popup.js").MenuItem|null)[]} */
function menuOf(/** @type {LoraSet} */ set) {
  return [
    { label: "Edit", icon: "edit", run: () => query.setPage(`sets/${set.id}`) },
    { label: `Copy ${tagOfSet(set)}`, icon: "copy", run: () => void copy(tagOfSet(set)) },
    { label: "Make a copy", icon: "plus", run: () => void duplicate(set) },
    { label: "Export as a file", icon: "download", run: () => void exportSet(set) },
    null,
    { label: "Delete", icon: "trash", danger: true, run: () => void deleteSet(set) },
  ];
}
