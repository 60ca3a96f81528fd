// Taking back what was done: a note with Undo after every change, and Ctrl+Z for the last one.
import { ApiError, request } from "./api.js";
import { Emitter } from "./dom.js";
import { plural } from "./format.js";
import { toast } from "./toast.js";

/** @typedef {{id: number, text: string}} Done */

/** What was done on this page, the last at the end. @type {Done[]} */
const done = [];

/** Emits "undone" {action} after something was taken back: whoever shows it asks for it anew. */
export const undoing = new Emitter();

/**
 * Tell that something was done, and offer to take it back.
 * @param {{action?: number|null}|null|undefined} answer of the request that did it
 * @param {string} text
 */
export function offerUndo(answer, text) {
  const id = answer?.action;
  if (id === null || id === undefined) return toast(text);
  remember(id, text);
  return toast(text, { action: { label: "Undo", run: () => void undo({ id, text }) } });
}

/** Let Ctrl+Z take an action back that needs no note. */
export function remember(/** @type {number|null|undefined} */ id, /** @type {string} */ text) {
  if (id === null || id === undefined) return;
  done.push({ id, text });
  if (done.length > 100) done.shift();
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
export async function undo(/** @type {Done} */ { id, text }) {
  const at = done.findIndex((one) => one.id === id);
  if (at >= 0) done.splice(at, 1);
  try {
    const answer = await request("POST", `actions/${id}/undo`);
    const failed = answer.failed?.length ?? 0;
    if (failed) toast(`${plural(failed, "file")} could not be taken back: ${answer.failed[0].reason}`, { kind: "error" });
    else if (answer.skipped) toast(`Undone, but for ${plural(answer.skipped, "value")} changed again since.`);
    else toast(`Undone: ${text}`);
    undoing.emit("undone", { action: id });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const again = error.status === 0 || error.status >= 500; // else it never will
    if (again) done.push({ id, text });
    toast(`Not undone: ${error.message}`, { kind: "error", ...(again ? { action: { label: "Retry", run: () => void undo({ id, text }) } } : {}) });
  }
}
