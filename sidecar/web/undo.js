// Taking back what was done: a note with Undo after every change, and Ctrl+Z for the last one.
import { ApiError, request } from "./api.js";
import { Emitter } from "./dom.js";
import { plural } from "./format.js";
import { toast } from "./toast.js";

/** @typedef {{id: number, text: string, more?: number[]}} Done more: actions that belong to it, and go back with it */

/** What was done on this page, the last at the end. @type {Done[]} */
const done = [];
const KEPT = 100;

/** Emits "undone" {action} after something was taken back: whoever shows it asks for it anew. */
export const undoing = new Emitter();

/**
 * Tell that something was done, and offer to take it back.
 * @param {{action?: number|null}|null|undefined} answer of the request that did it
 * @param {string} text
 * @param {number[]} [more] actions of other requests that go back with it
 */
export function offerUndo(answer, text, more = []) {
  const id = answer?.action;
  if (id === null || id === undefined) return toast(text);
  const one = { id, text, more };
  done.push(one);
  if (done.length > KEPT) done.shift();
  return toast(text, { action: { label: "Undo", run: () => void undo(one) } });
}

/** Let Ctrl+Z take an action back that needs no note. */
export function remember(/** @type {number|null|undefined} */ id, /** @type {string} */ text) {
  if (id === null || id === undefined) return;
  done.push({ id, text });
  if (done.length > KEPT) done.shift();
}

/** Ctrl+Z: take back the last thing done here; before that, offer what was done last elsewhere or before a reload. */
export async function undoLast() {
  const last = done.at(-1);
  if (last) return undo(last);
  try {
    const { items } = await request("GET", "actions?limit=20");
    const found = items.find((/** @type {any} */ one) => one.state === "done");
    if (!found) return toast("There is nothing to undo.");
    return toast(`Last change: ${found.summary}`, { action: { label: "Undo", run: () => void undo({ id: found.id, text: found.summary }) } });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return toast(error.message, { kind: "error" });
  }
}

/** Take an action back, and say what came of it. */
export async function undo(/** @type {Done} */ one) {
  const { id, text, more = [] } = one;
  const at = done.findIndex((other) => other.id === id);
  if (at >= 0) done.splice(at, 1);
  const slow = setTimeout(() => toast(`Undoing: ${text}…`), 300);
  try {
    const outcome = { failed: /** @type {{reason: string}[]} */ ([]), skipped: 0 };
    for (const action of [id, ...more].reverse()) {
      const answer = await request("POST", `actions/${action}/undo`);
      outcome.failed.push(...(answer.failed ?? []));
      outcome.skipped += answer.skipped ?? 0;
    }
    clearTimeout(slow);
    const { failed, skipped } = outcome;
    if (failed.length) toast(`${plural(failed.length, "file")} could not be taken back: ${failed[0]?.reason}`, { kind: "error" });
    else if (skipped) toast(`Undone, but for ${plural(skipped, "value")} changed again since.`);
    else toast(`Undone: ${text}`);
    undoing.emit("undone", { action: id });
  } catch (error) {
    clearTimeout(slow);
    if (!(error instanceof ApiError)) throw error;
    const again = error.status === 0 || error.status >= 500; // else it never will
    if (again) done.push(one);
    toast(`Not undone: ${error.message}`, { kind: "error", ...(again ? { action: { label: "Retry", run: () => void undo(one) } } : {}) });
  }
}
