// Questions that need an answer before something is done, and requests whose failure must be told.
import { ApiError } from "./api.js";
import { add, h } from "./dom.js";
import { icon } from "./icons.js";
import { toast } from "./toast.js";

/** @typedef {import("./dom.js").Child} Child */

/**
 * A window in front of the page; what is behind it waits.
 * @param {string} title
 * @param {Child[]} content
 * @param {{wide?: boolean}} [options]
 */
export function openDialog(title, content, { wide = false } = {}) {
  const close = h("button", { class: "icon-button", type: "button", "aria-label": "Close" }, icon("close"));
  const body = h("div", { class: "dialog-body" });
  add(body, content);
  const dialog = h("dialog", { class: wide ? "asks wide" : "asks", "aria-label": title }, h("header", null, h("h2", null, title), close), body);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // the page's shortcuts rest
  const over = new AbortController();
  dialog.addEventListener("close", () => {
    over.abort();
    dialog.remove();
  });
  window.addEventListener("popstate", () => dialog.close(), { signal: over.signal }); // it belongs to the page it was opened on
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Ask before something large, or something that cannot be taken back.
 * @param {{title: string, text: Child[], action: string, danger?: boolean}} question
 * @returns {Promise<boolean>}
 */
export function confirmed({ title, text, action, danger = false }) {
  const no = h("button", { class: "small-button", type: "button" }, "Cancel");
  const yes = h("button", { class: danger ? "small-button danger" : "small-button strong", type: "button" }, action);
  const words = h("div", { class: "dialog-text" });
  add(words, text);
  const dialog = openDialog(title, [words, h("div", { class: "dialog-actions" }, no, yes)]);
  (danger ? no : yes).focus();
  return new Promise((done) => {
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => dialog.close("yes"));
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"));
  });
}

/**
 * Run a request of the user's and what follows from its answer; while it runs its button rests, and a failure is told.
 * @template T
 * @param {() => Promise<T>} run
 * @param {{button?: HTMLButtonElement|null, failed?: string}} [options] failed: what did not work, for the note
 * @returns {Promise<T|undefined>} undefined when it failed
 */
export async function attempt(run, { button, failed = "" } = {}) {
  const focused = button && document.activeElement === button;
  if (button) {
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
  }
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(failed ? `${failed}: ${error.message}` : error.message, { kind: "error" });
    return undefined;
  } finally {
    if (button) {
      button.disabled = false;
      button.removeAttribute("aria-busy");
      if (focused && document.activeElement === document.body) button.focus({ preventScroll: true });
    }
  }
}
