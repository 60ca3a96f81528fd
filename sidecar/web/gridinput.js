// What the user does in the grid: clicks, keys, long presses. Moving, opening, selecting.
import { move } from "./geometry.js";
import { library } from "./library.js";
import { selection } from "./select/selection.js";

/** @typedef {import("./grid.js").LoraGrid} LoraGrid */

const LONG_PRESS = 450;
const STILL = 10;
const touching = window.matchMedia("(hover: none)");

export function startInput(/** @type {LoraGrid} */ grid) {
  const press = startLongPress(grid);
  grid.addEventListener("click", (event) => !press.wasLong() && clicked(grid, event));
  grid.addEventListener("keydown", (event) => pressed(grid, event));
  grid.addEventListener("mousedown", (event) => pointed(event));
  grid.addEventListener("focusin", (event) => focused(grid, event));
}

/** On touch a long press selects; its click and the browser's menu do not follow. */
function startLongPress(/** @type {LoraGrid} */ grid) {
  let timer = 0;
  let long = false;
  let at = { x: 0, y: 0 };
  const stop = () => clearTimeout(timer);
  grid.addEventListener("pointerdown", (event) => {
    long = false;
    stop();
    if (event.pointerType !== "touch") return;
    const index = grid.indexOf(event.target);
    if (index < 0) return;
    at = { x: event.clientX, y: event.clientY };
    timer = window.setTimeout(() => {
      long = true;
      selection.toggle(index);
      navigator.vibrate?.(12);
    }, LONG_PRESS);
  });
  grid.addEventListener("pointermove", (event) => Math.hypot(event.clientX - at.x, event.clientY - at.y) > STILL && stop(), { passive: true });
  for (const type of ["pointerup", "pointercancel", "scroll"]) grid.addEventListener(type, stop, { passive: true });
  grid.addEventListener("contextmenu", (event) => (long || touching.matches) && event.preventDefault());
  return { wasLong: () => long };
}

/** The keyboard's place follows the mouse, but stays on the card: its small buttons never hold the focus. */
function pointed(/** @type {MouseEvent} */ event) {
  if (event.shiftKey) event.preventDefault(); // no text is selected along
  if (!(event.target instanceof Element) || !(event.target.closest("button, .check") || event.shiftKey)) return;
  event.preventDefault();
  const card = event.target.closest(".card");
  if (card instanceof HTMLElement) card.focus({ preventScroll: true });
}

function clicked(/** @type {LoraGrid} */ grid, /** @type {MouseEvent} */ event) {
  const index = grid.indexOf(event.target);
  const lora = library.get(index);
  if (!lora || !(event.target instanceof Element)) return;
  const card = event.target.closest(".card");
  if (event.shiftKey) void selection.extend(index);
  else if (event.target.closest(".check") || event.ctrlKey || event.metaKey) selection.toggle(index);
  else if (event.target.closest(".star")) grid.tell("favorite", lora);
  else if (event.target.closest(".info")) grid.tell("details", lora);
  else if (selection.count) selection.toggle(index);
  else if (event.target.closest(".caption")) grid.tell("details", lora);
  else if (touching.matches && card?.classList.contains("veiled") && !card.classList.contains("revealed")) card.classList.add("revealed");
  else grid.tell("main", lora);
}

function pressed(/** @type {LoraGrid} */ grid, /** @type {KeyboardEvent} */ event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const rows = Math.floor(grid.clientHeight / grid.rowHeight);
  const to = move(event.key, { at: grid.active, columns: grid.columns, rows, total: library.total ?? 0 });
  grid.lastUse = performance.now();
  if (to !== null) {
    if (event.shiftKey && selection.anchor < 0) selection.anchor = grid.active;
    grid.activate(to);
    if (event.shiftKey) void selection.extend(to);
  } else if (event.key === "Enter" && selection.count) selection.toggle(grid.active);
  else if (event.key === "Enter") grid.tell("main", library.get(grid.active));
  else if (event.key === " " || event.key === "i") grid.tell("details", library.get(grid.active));
  else return;
  event.preventDefault();
}

function focused(/** @type {LoraGrid} */ grid, /** @type {FocusEvent} */ event) {
  const card = event.target instanceof Element ? event.target.closest(".card") : null;
  if (!(card instanceof HTMLElement)) return;
  const before = grid.cardAt(grid.active);
  if (before) before.element.tabIndex = -1;
  card.tabIndex = 0;
  grid.active = Number(card.dataset["index"]);
  grid.tell("active", library.get(grid.active));
}
