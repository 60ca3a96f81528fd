// Short notes at the bottom of the page; read out by screen readers, gone by themselves.
import { find, h } from "./dom.js";
import { icon } from "./icons.js";

let timer = 0;

/**
 * @param {string} text
 * @param {{code?: string, kind?: "done"|"error", action?: {label: string, run: () => void}}} [options] code is shown as code
 */
export function toast(text, { code, kind = "done", action } = {}) {
  const place = find("#toasts");
  const note = h(
    "div",
    { class: `toast ${kind}` },
    icon(kind === "error" ? "warn" : "check"),
    h("span", { class: "toast-text" }, text, code ? " " : null, code ? h("code", null, code) : null),
    action && h("button", { class: "quiet", type: "button", onclick: () => (action.run(), note.remove()) }, action.label),
  );
  place.replaceChildren(note);
  clearTimeout(timer);
  timer = window.setTimeout(() => note.remove(), kind === "error" || action ? 6000 : 2200);
}
