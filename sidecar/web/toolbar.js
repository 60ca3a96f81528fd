// The bar above the grid: search, order, card size and how many there are.
import { startChips } from "./chips.js";
import { find, h, debounce } from "./dom.js";
import { count, plural } from "./format.js";
import { icon } from "./icons.js";
import { library } from "./library.js";
import { startSuggestions } from "./find/suggest.js";
import { query } from "./query.js";

const ORDERS = /** @type {[string, string][]} */ ([
  ["-added", "Newest first"],
  ["added", "Oldest first"],
  ["-modified", "Last modified"],
  ["-used", "Most used"],
  ["used", "Least used"],
  ["-rating", "Best rated"],
  ["-name", "Name, Z to A"],
  ["-size", "Largest first"],
  ["size", "Smallest first"],
  ["random", "Random"],
]);
const DENSITY_KEY = "lora-manager.density";

/** @param {import("./grid.js").LoraGrid} grid */
export function startToolbar(grid) {
  startSearch(grid);
  startOrder();
  startDensity(grid);
  library.on("reset", drawCounts);
  library.on("loaded", drawCounts);
  library.on("error", drawCounts);
  library.on("stale", (stale) => (find("#stale").hidden = !stale));
  find("#stale").addEventListener("click", () => void library.reload({ keepPlace: true }));
  startChips();
}

/** The size of the whole library, for "12 of 50,000". */
let whole = /** @type {number|null} */ (null);

export function setWhole(/** @type {number} */ loras) {
  whole = loras;
  drawCounts();
}

function drawCounts() {
  const place = find("#count");
  const { total } = library;
  if (!query.narrowed && total !== null) whole = total;
  if (total === null) place.textContent = "";
  else if (query.narrowed && whole !== null) place.textContent = `${count(total)} of ${count(whole)}`;
  else place.textContent = plural(total, "LoRA");
  const corrected = find("#corrected");
  corrected.hidden = !library.corrected || !total;
  if (library.corrected) corrected.replaceChildren("Showing results for ", h("strong", null, library.corrected));
}

function startSearch(/** @type {import("./grid.js").LoraGrid} */ grid) {
  /** @type {HTMLInputElement} */
  const box = find("#search");
  if (window.matchMedia("(max-width: 720px)").matches) box.placeholder = "Search";
  let session = false; // one entry in the history for one search, however many letters it has
  let waiting = false; // for the end of a term that is being written
  const run = () => {
    waiting = false;
    query.set({ q: box.value.trim() }, { replace: session });
    query.setPage(null); // what is found is in the library
    session = true;
  };
  const search = debounce(run, 80);
  const written = (/** @type {boolean} */ done) => waiting && done && search();
  const isUnfinished = startSuggestions({ search: run, written }); // its keys come first
  box.addEventListener("input", () => {
    search.cancel();
    waiting = isUnfinished();
    if (!waiting) search();
  });
  box.addEventListener("blur", () => {
    if (waiting) run();
    session = false;
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      if (waiting) run();
      grid.activate(event.key === "Enter" ? 0 : grid.active);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (box.value) {
        box.value = "";
        search();
      } else grid.activate(grid.active);
    }
  });
  find("#clear-search").addEventListener("click", () => {
    query.set({ q: "" });
    box.focus();
  });
  const take = () => {
    if (document.activeElement !== box || box.value.trim() !== query.filters.q) {
      if (box.value.trim() !== query.filters.q) box.value = query.filters.q;
    }
    find("#clear-search").hidden = box.value === "";
  };
  query.on("change", take);
  box.addEventListener("input", () => (find("#clear-search").hidden = box.value === ""));
  take();
}

function startOrder() {
  /** @type {HTMLSelectElement} */
  const menu = find("#sort");
  const first = h("option", { value: "" });
  const byName = h("option", { value: "name" }, "Name");
  menu.append(first, byName, ...ORDERS.map(([value, label]) => h("option", { value }, label)));
  const shuffle = find("#shuffle");
  const take = () => {
    const searching = query.filters.q !== "";
    first.textContent = searching ? "Best match" : "Name";
    byName.hidden = !searching;
    menu.value = !searching && query.filters.sort === "name" ? "" : query.filters.sort;
    shuffle.hidden = query.filters.sort !== "random";
  };
  const seed = () => String(Math.floor(Math.random() * 1e9));
  menu.addEventListener("change", () => query.set({ sort: menu.value, seed: menu.value === "random" ? seed() : "" }));
  shuffle.addEventListener("click", () => query.set({ seed: seed() }));
  query.on("change", take);
  take();
}

function startDensity(/** @type {import("./grid.js").LoraGrid} */ grid) {
  const sizes = /** @type {import("./geometry.js").Density[]} */ (["small", "medium", "large"]);
  const group = find("#density");
  const show = (/** @type {import("./geometry.js").Density} */ size) => {
    grid.setDensity(size);
    for (const button of group.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === size));
  };
  for (const size of sizes) {
    const label = `${size[0]?.toUpperCase()}${size.slice(1)} cards`;
    const button = h("button", { class: "icon-button", type: "button", value: size, title: label, "aria-label": label }, icon(size));
    button.addEventListener("click", () => {
      show(size);
      localStorage.setItem(DENSITY_KEY, size);
    });
    group.append(button);
  }
  const kept = sizes.find((size) => size === localStorage.getItem(DENSITY_KEY));
  show(kept ?? "medium");
}
