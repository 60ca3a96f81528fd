// What the user does with files, wherever it is clicked: rename, move, delete, forget. Each says what came of it and offers
// to take it back; many files are a task whose end tells the same.
import { ApiError, request } from "./api.js";
import { attempt, openDialog } from "./ask.js";
import { h } from "./dom.js";
import { folderBox } from "./folderbox.js";
import { count, plural } from "./format.js";
import { icon } from "./icons.js";
import { query } from "./query.js";
import { whenDone } from "./tasks.js";
import { toast } from "./toast.js";
import { offerUndo } from "./undo.js";

/** @typedef {import("./types.js").Selection} Selection */
/** @typedef {import("./types.js").FileResult} FileResult */
/** @typedef {FileResult & {task?: number}} Answer what was done, or the task that does it */

/**
 * Rename a LoRA and everything beside it.
 * @param {{id: number, name: string}} lora
 * @param {string} name the new stem
 * @returns {Promise<string>} why it was refused; empty when it was done
 */
export async function renameLora(lora, name) {
  try {
    const answer = /** @type {Answer} */ (await request("POST", `loras/${lora.id}/rename`, { body: { name } }));
    const refused = answer.items?.find(({ state }) => state === "conflict" || state === "failed");
    if (refused) return refused.reason ?? "It was not renamed.";
    offerUndo(answer, `Renamed to ${name}.`);
    return "";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.message;
  }
}

/**
 * Ask for a folder and move there.
 * @param {Selection} selection
 * @param {number} loras how many are meant
 * @param {string} [from] the folder they lie in now
 */
export function moveLoras(selection, loras, from = "") {
  const what = loras === 1 ? "this LoRA" : plural(loras, "LoRA");
  const box = folderBox({ label: "Folder", value: from });
  const note = h("p", { class: "form-note", role: "alert" });
  const go = h("button", { class: "small-button strong", type: "submit" }, icon("move"), loras === 1 ? "Move" : `Move ${count(loras)}`);
  const form = h("form", { class: "line-form" }, box.element, go, note);
  const dialog = openDialog(`Move ${what}`, [h("p", { class: "hint" }, "Side files and previews go with it. A folder that does not exist is made."), form]);
  box.input.select();
  box.input.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const folder = box.value();
    if (!folder) return void (note.textContent = "Say which folder.");
    go.disabled = true;
    note.textContent = "";
    try {
      const answer = await request("POST", "files/move", { body: { selection, folder } });
      if (loras === 1 && refusal(answer)) note.textContent = refusal(answer);
      else {
        dialog.close();
        await tell(answer, `moved to ${folder}`);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      note.textContent = error.message;
    } finally {
      go.disabled = false;
    }
    return undefined;
  });
}

/**
 * Into the trash, with everything beside them.
 * @param {Selection} selection
 * @param {number} loras
 * @param {HTMLButtonElement} [button]
 */
export async function deleteLoras(selection, loras, button) {
  await attempt(
    async () => {
      const answer = await request("POST", "files/delete", { body: { selection } });
      if (loras === 1 && refusal(answer)) return void toast(refusal(answer), { kind: "error" });
      if (selection.ids?.includes(query.open ?? -1)) query.setOpen(null);
      return tell(answer, "moved to the trash");
    },
    { button: button ?? null, failed: "Not deleted" },
  );
}

/** Take missing files out of the list. @param {Selection} selection @param {HTMLButtonElement} [button] */
export async function forgetLoras(selection, button) {
  await attempt(
    async () => {
      const { forgotten } = await request("POST", "loras/forget", { body: selection });
      if (selection.ids?.includes(query.open ?? -1)) query.setOpen(null);
      toast(`${plural(forgotten, "missing LoRA")} forgotten.`);
    },
    { button: button ?? null, failed: "Not forgotten" },
  );
}

/** Why nothing was done, when nothing was. @returns {string} */
function refusal(/** @type {Answer} */ answer) {
  if (answer.done || answer.task || !answer.items) return "";
  const refused = answer.items.find(({ state }) => state === "conflict" || state === "failed");
  return refused ? (refused.reason ?? "It was not done.") : answer.items.some(({ state }) => state === "same") ? "It lies there already." : "";
}

/**
 * Say what came of it, now or when its task ends.
 * @param {Answer} answer
 * @param {string} what "moved to styles"
 */
export async function tell(answer, what) {
  const outcome = /** @type {FileResult|null} */ (answer.task ? await whenDone(answer.task) : answer);
  if (!outcome) return; // it failed or was stopped: its task says so
  const failed = (outcome.items ?? []).filter(({ state }) => state === "conflict" || state === "failed");
  const text = `${plural(outcome.done ?? 0, "LoRA")} ${what}.`;
  if (!failed.length) return void offerUndo(outcome, text);
  offerUndo(outcome, `${text} ${plural(failed.length, "was", "were")} not: ${failed[0]?.reason ?? ""}`);
}
