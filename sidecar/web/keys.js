// Shortcuts that work anywhere on the page, and the list of all of them.
import { find, h, isTyping } from "./dom.js";
import { icon } from "./icons.js";
import { library } from "./library.js";
import { query } from "./query.js";
import { cardKey } from "./select/cardkeys.js";
import { selection } from "./select/selection.js";
import { undoLast } from "./undo.js";

const KEYS = /** @type {[string, [string[], string][]][]} */ ([
  [
    "Find",
    [
      [["/"], "Search"],
      [["←", "↑", "↓", "→"], "Move between cards"],
      [["Home", "End"], "First and last card"],
      [["PgUp", "PgDn"], "A screen up or down"],
      [["Alt", "click"], "Leave a tag out"],
      [["Esc"], "Close, select none, or clear the search"],
    ],
  ],
  [
    "Use",
    [
      [["Enter"], "Insert into the prompt, or take out; copies when there is no host"],
      [["i", "Space"], "Details"],
      [["e"], "Edit"],
    ],
  ],
  [
    "Mark",
    [
      [["1", "…", "5"], "Rate; 0 takes the rating away"],
      [["f"], "Favourite"],
      [["l"], "Colour label"],
      [["h"], "Hide, or show again"],
      [["Del"], "Into the trash"],
    ],
  ],
  [
    "Select",
    [
      [["x"], "Select the card, or not"],
      [["Shift", "click"], "From the last one to here; also with arrows"],
      [["Ctrl", "A"], "Everything in the list"],
      [["Ctrl", "Z"], "Undo the last change"],
      [["?"], "This list"],
    ],
  ],
]);

/**
 * @param {import("./grid.js").LoraGrid} grid
 * @param {import("./drawer.js").LoraDrawer} drawer
 * @param {{close: () => void, isOpen: () => boolean}} sheet
 */
export function startKeys(grid, drawer, sheet) {
  const help = makeHelp();
  find("#help").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
    const command = event.ctrlKey || event.metaKey;
    const done = command ? withCommand(event) : event.key === "Escape" ? escape() : !isTyping(event.target) && single(event);
    if (done) event.preventDefault();
  });

  const withCommand = (/** @type {KeyboardEvent} */ event) => {
    if (isTyping(event.target) || event.shiftKey) return false;
    if (event.key === "z") void undoLast();
    else if (event.key === "a" && query.page === null) selection.everything();
    else return false;
    return true;
  };

  const escape = () => {
    if (document.querySelector(":popover-open")) return false;
    if (sheet.isOpen()) sheet.close();
    else if (selection.count && query.page === null) selection.clear();
    else if (query.open !== null) drawer.dismiss();
    else return false;
    return true;
  };

  const single = (/** @type {KeyboardEvent} */ event) => {
    const { key } = event;
    if (document.activeElement?.closest("[popover]")) return false;
    if (key === "?") help.showModal();
    else if (key === "/") {
      const box = /** @type {HTMLInputElement} */ (find("#search"));
      box.focus();
      box.select();
    } else if (query.page !== null) return false; // the rest is the library's
    else if (key === "i" && query.open !== null) drawer.dismiss();
    else if (key === "e") return edit();
    else if (key.startsWith("Arrow") && document.activeElement === document.body) grid.activate(grid.active);
    else if (event.shiftKey || !onCards()) return false;
    else return cardKey(event, place());
    return true;
  };

  /** Elsewhere, as in the filters, a key is not meant for a card. */
  const onCards = () => document.activeElement === document.body || Boolean(document.activeElement?.closest("lora-grid, lora-drawer, #selection"));

  /** The LoRA that keys act on: of the open details while the keyboard is in them, else of the card. */
  const place = () => {
    const index = query.open !== null && drawer.contains(document.activeElement) ? library.indexOf(query.open) : grid.active;
    return { lora: index < 0 ? undefined : library.get(index), index, anchor: grid.cardAt(index)?.element };
  };

  const edit = () => {
    const lora = library.get(grid.active);
    if (query.open === null && lora) query.setOpen(lora.id);
    if (query.open === null) return false;
    drawer.focusTitle();
    return true;
  };
}

function makeHelp() {
  const row = (/** @type {[string[], string]} */ [keys, text]) => [h("dt", null, ...keys.map((key) => (key === "…" ? "…" : h("kbd", null, key)))), h("dd", null, text)];
  const parts = KEYS.map(([title, keys]) => h("section", null, h("h3", null, title), h("dl", null, ...keys.flatMap(row))));
  const close = h("button", { class: "icon-button", type: "button", "aria-label": "Close" }, icon("close"));
  const dialog = h("dialog", { id: "keys", "aria-label": "Keyboard" }, h("header", null, h("h2", null, "Keyboard"), close), h("div", { class: "key-parts" }, ...parts));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  return dialog;
}
