// Shortcuts that work anywhere on the page, and the list of all of them.
import { toggleFavorite } from "./actions.js";
import { find, h, isTyping } from "./dom.js";
import { icon } from "./icons.js";
import { library } from "./library.js";
import { query } from "./query.js";
import { undoLast } from "./undo.js";

const KEYS = /** @type {[string[], string][]} */ ([
  [["/"], "Search"],
  [["←", "↑", "↓", "→"], "Move between cards"],
  [["Home", "End"], "First and last card"],
  [["PgUp", "PgDn"], "A screen up or down"],
  [["Enter"], "Insert into the prompt, or take out; copies when there is no host"],
  [["i", "Space"], "Details"],
  [["e"], "Edit"],
  [["f"], "Favourite"],
  [["Esc"], "Close, or clear the search"],
  [["Alt", "click"], "Leave a tag out"],
  [["?"], "This list"],
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
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.shiftKey && !isTyping(event.target)) {
      event.preventDefault();
      return void undoLast();
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.key === "Escape") {
      if (document.querySelector(":popover-open")) return;
      if (sheet.isOpen()) sheet.close();
      else if (query.open !== null) drawer.dismiss();
      else return;
      event.preventDefault();
    }
    if (isTyping(event.target)) return undefined;
    const lora = library.get(grid.active);
    if (event.key === "/") {
      const box = find("#search");
      box.focus();
      if (box instanceof HTMLInputElement) box.select();
    } else if (event.key === "?") help.showModal();
    else if (query.page !== null) return; // the rest is the library's
    else if (event.key === "f" && (drawer.lora ?? lora)) void toggleFavorite(/** @type {any} */ (drawer.lora ?? lora));
    else if (event.key === "i" && query.open !== null) drawer.dismiss();
    else if (event.key === "e" && (query.open !== null || lora)) {
      if (query.open === null && lora) query.setOpen(lora.id);
      drawer.focusTitle();
    } else if (event.key.startsWith("Arrow") && document.activeElement === document.body) grid.activate(grid.active);
    else return;
    event.preventDefault();
  });
}

function makeHelp() {
  const rows = KEYS.flatMap(([keys, text]) => [h("dt", null, ...keys.map((key) => h("kbd", null, key))), h("dd", null, text)]);
  const close = h("button", { class: "icon-button", type: "button", "aria-label": "Close" }, icon("close"));
  const dialog = h("dialog", { id: "keys", "aria-label": "Keyboard" }, h("header", null, h("h2", null, "Keyboard"), close), h("dl", null, ...rows));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  return dialog;
}
