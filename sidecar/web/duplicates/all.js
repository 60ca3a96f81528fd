// Keeping the suggested copy in every group of a kind: asked before, with progress, to be stopped, and to be taken back.
import { ApiError, request } from "../api.js";
import { confirmed, openDialog } from "../ask.js";
import { h } from "../dom.js";
import { bytes, count, plural } from "../format.js";
import { toast } from "../toast.js";
import { offerUndo } from "../undo.js";
import { keepOne } from "./group.js";

/** @typedef {import("../types.js").DuplicateGroup} Group */

const PAGE = 50;

/**
 * @param {{kind: string, total: number, wasted: number, merge: boolean}} what
 * @returns {Promise<boolean>} whether anything was done
 */
export async function resolveAll({ kind, total, wasted, merge }) {
  const text = [
    h("p", null, `In ${plural(total, "group")} the suggested copy stays, the others go to the trash: `, h("strong", null, bytes(wasted)), " are free once it is emptied."),
    h("p", null, merge ? "The one that stays gets the tags, notes, ratings and side files that only the others have. " : "What only the others have goes with them. ", "It can be undone."),
  ];
  if (!(await confirmed({ title: "Keep the suggested copies?", text, action: `Remove the others in ${plural(total, "group")}` }))) return false;
  /** @type {number[]} */
  const actions = [];
  const sum = { done: 0, freed: 0, failed: 0, reason: "" };
  const work = progress("Removing duplicates", total);
  try {
    let left = 0; // groups that could not be settled stay at the front of the list
    for (;;) {
      const { items } = await request("GET", `duplicates?kind=${kind}&limit=${PAGE}&cursor=${left}`);
      if (!items.length || work.stopped()) break;
      for (const group of items) {
        if (work.stopped()) break;
        left += (await settle(group, merge, actions, sum)) ? 0 : 1;
        work.step();
      }
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    sum.reason = error.message;
    sum.failed += 1;
  } finally {
    work.close();
  }
  const refused = sum.failed ? ` ${plural(sum.failed, "group")} could not be settled: ${sum.reason}` : "";
  const said = `${plural(sum.done, "copy", "copies")} moved to the trash, ${bytes(sum.freed)}.${refused}`;
  if (actions.length) offerUndo({ action: actions[0] ?? null }, said, actions.slice(1));
  else toast(refused.trim() || "Nothing was removed.", { kind: "error" });
  return actions.length > 0;
}

/** @param {Group} group @param {boolean} merge @param {number[]} actions @param {{done: number, freed: number, failed: number, reason: string}} sum */
async function settle(group, merge, actions, sum) {
  const [best] = group.loras;
  if (!best) return false;
  try {
    const answer = await keepOne(group, best.id, { merge });
    if (answer.action) actions.push(answer.action);
    sum.done += answer.done;
    sum.freed += answer.freed;
    if (!answer.failed.length && group.count === group.loras.length) return true;
    if (answer.failed.length) [sum.failed, sum.reason] = [sum.failed + 1, answer.failed[0].reason];
    return !answer.failed.length && answer.done > 0;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status === 0 || error.status >= 500) throw error;
    [sum.failed, sum.reason] = [sum.failed + 1, error.message];
    return false;
  }
}

/** A window with a bar that can be stopped. @param {string} title @param {number} total */
function progress(title, total) {
  const bar = h("progress", { max: total, value: 0, "aria-label": title });
  const text = h("p", { class: "hint", role: "status" }, `0 of ${count(total)}`);
  const stop = h("button", { class: "small-button", type: "button" }, "Stop");
  const dialog = openDialog(title, [bar, text, h("div", { class: "dialog-actions" }, stop)]);
  let stopped = false;
  let ended = false;
  stop.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => (stopped = !ended));
  return {
    stopped: () => stopped,
    step() {
      bar.value += 1;
      text.textContent = `${count(bar.value)} of ${count(total)}`;
    },
    close() {
      ended = true;
      dialog.close();
    },
  };
}
