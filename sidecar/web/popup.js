// Small windows at a control: menus, and anything else. A click elsewhere, Escape or scrolling away closes them.
import { add, h } from "./dom.js";
import { icon } from "./icons.js";

/**
 * @typedef {object} MenuItem
 * @property {string} label
 * @property {import("./icons.js").IconName} [icon]
 * @property {() => void} run
 * @property {boolean} [danger]
 * @property {boolean} [checked] one of a choice
 * @property {Node} [mark] stands where the icon would
 */

/** When the window of a control was closed. @type {WeakMap<HTMLElement, number>} */
const closed = new WeakMap();
const EDGE = 8;
const GAP = 4;

/**
 * Open a small window at a control; the same control closes it again.
 * @param {HTMLElement} anchor
 * @param {HTMLElement} content
 * @param {{label: string, role?: string, className?: string}} options
 * @returns {() => void} closes it
 */
export function popup(anchor, content, { label, role = "dialog", className = "" }) {
  const box = h("div", { class: `popup ${className}`, role, tabIndex: -1, "aria-label": label }, content);
  box.popover = "auto";
  let asked = false; // closed by what was chosen in it, which may open the next one here
  const close = () => {
    asked = true;
    if (box.isConnected) box.hidePopover();
  };
  const { top } = anchor.getBoundingClientRect();
  const away = (/** @type {Event} */ event) => {
    if (event.target instanceof Node && box.contains(event.target)) return;
    if (Math.abs(anchor.getBoundingClientRect().top - top) > 2) close(); // the scrolling that brought the control here ends late
  };
  if (performance.now() - (closed.get(anchor) ?? -Infinity) < 100) return () => {}; // this very click has closed it
  (anchor.closest("dialog, [popover]") ?? document.body).append(box); // what lies outside an open dialog is inert
  box.addEventListener("beforetoggle", (event) => event.newState === "closed" && !asked && closed.set(anchor, performance.now()));
  box.addEventListener("toggle", (event) => {
    if (event.newState === "open") return;
    document.removeEventListener("scroll", away, true);
    anchor.setAttribute("aria-expanded", "false");
    box.remove();
  });
  box.addEventListener("keydown", (event) => event.key === "Escape" && event.stopPropagation());
  box.showPopover();
  anchor.setAttribute("aria-expanded", "true");
  place(box, anchor);
  document.addEventListener("scroll", away, true);
  if (role === "dialog" && document.activeElement === anchor) box.focus({ preventScroll: true }); // so that Tab goes on in it
  return close;
}

/** Below the control, or above it when there is more room, and inside the window. */
function place(/** @type {HTMLElement} */ box, /** @type {HTMLElement} */ anchor) {
  const at = anchor.getBoundingClientRect();
  const below = innerHeight - at.bottom - GAP - EDGE;
  const above = at.top - GAP - EDGE;
  const up = box.offsetHeight > below && above > below;
  box.style.maxHeight = `${Math.max(120, up ? above : below)}px`;
  box.style.left = `${Math.max(EDGE, Math.min(at.left, innerWidth - box.offsetWidth - EDGE))}px`;
  box.style.top = up ? "auto" : `${at.bottom + GAP}px`;
  box.style.bottom = up ? `${innerHeight - at.top + GAP}px` : "auto"; // what grows in it grows upwards
}

/**
 * Open a menu at a control. Arrow keys, Home, End and first letters move in it.
 * @param {HTMLElement} anchor
 * @param {string} label
 * @param {(MenuItem|null)[]} items null is a line between groups
 */
export function openMenu(anchor, label, items) {
  const list = h("div", { class: "menu" });
  const choice = items.some((item) => item?.checked !== undefined);
  const buttons = items.map((item) => {
    if (!item) return h("hr");
    const role = choice ? "menuitemradio" : "menuitem";
    const button = h("button", { type: "button", role, tabIndex: -1, class: item.danger ? "danger" : "" });
    if (choice) button.setAttribute("aria-checked", String(Boolean(item.checked)));
    add(button, [item.mark ?? (item.icon && icon(item.icon)), h("span", null, item.label), choice && item.checked && icon("check")]);
    button.addEventListener("click", () => {
      close();
      item.run();
    });
    return button;
  });
  list.append(...buttons);
  const close = popup(anchor, list, { label, role: "menu" });
  const commands = buttons.filter((button) => button instanceof HTMLButtonElement);
  walk(list, commands);
  (commands.find((button) => button.getAttribute("aria-checked") === "true") ?? commands[0])?.focus();
}

function walk(/** @type {HTMLElement} */ list, /** @type {HTMLButtonElement[]} */ buttons) {
  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const letter = event.key.length === 1 ? event.key.toLowerCase() : "";
    let to = -1;
    if (event.key === "ArrowDown") to = (at + 1) % buttons.length;
    else if (event.key === "ArrowUp") to = (at - 1 + buttons.length) % buttons.length;
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = buttons.length - 1;
    else if (letter.trim()) {
      const order = [...buttons.slice(at + 1), ...buttons.slice(0, at + 1)];
      const found = order.find((button) => button.textContent?.trim().toLowerCase().startsWith(letter));
      if (found) to = buttons.indexOf(found);
    }
    event.stopPropagation();
    if (to < 0) return;
    event.preventDefault();
    buttons[to]?.focus();
  });
}

/**
 * A button that opens a menu.
 * @param {string} label
 * @param {import("./icons.js").IconName} name
 * @param {() => (MenuItem|null)[]} items asked for when it opens
 */
export function menuButton(label, name, items) {
  const button = h("button", { class: "icon-button", type: "button", title: label, "aria-label": label, "aria-haspopup": "menu", "aria-expanded": "false" }, icon(name));
  button.addEventListener("click", () => openMenu(button, label, items()));
  return button;
}
