// The page of backups: make, download, check, restore into an empty data folder, delete.
import { ApiError, address, request } from "../api.js";
import { attempt, confirmed, openDialog } from "../ask.js";
import { copy } from "../actions.js";
import { find, h } from "../dom.js";
import { live } from "../events.js";
import { ago, bytes, count, when } from "../format.js";
import { icon } from "../icons.js";
import { whenDone } from "../tasks.js";
import { toast } from "../toast.js";
import { fill, nothing } from "./parts.js";

/** @typedef {import("../types.js").Backup} Backup */

let over = new AbortController();
/** @type {HTMLElement} */
let list;

/** @returns {Promise<void>} */
export async function open(/** @type {HTMLElement} */ container) {
  over = new AbortController();
  const begin = h("button", { class: "small-button strong", type: "button" }, icon("plus"), "Make a backup");
  begin.addEventListener("click", () => askNote());
  find("#page-tools").append(begin);
  const about =
    "A backup holds what you made of the library: tags, notes, ratings, collections, history and settings, not the LoRA files themselves. One is also taken before every change of the database's form.";
  list = h("div", { class: "rows", role: "list", "aria-label": "Backups" });
  container.append(h("p", { class: "page-note" }, about), list);
  live.addEventListener("reset", () => void load(), { signal: over.signal });
  await load();
}

export function close() {
  over.abort();
}

async function load() {
  await fill(list, () => request("GET", "backups"), ({ items }) => {
    if (over.signal.aborted) return;
    if (items.length) list.replaceChildren(...items.map(row));
    else list.replaceChildren(nothing("archive", "No backup yet", ["It takes a few seconds, and everything goes on meanwhile."]));
  });
}

function askNote() {
  const box = h("input", { placeholder: "For example: before sorting the folders", "aria-label": "Note", maxLength: 500, autocomplete: "off" });
  const go = h("button", { class: "small-button strong", type: "submit" }, "Make it");
  const form = h("form", { class: "line-form" }, box, go);
  const dialog = openDialog("Make a backup", [h("p", { class: "hint" }, "A note helps to find it again; it may stay empty."), form]);
  box.focus();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close();
    void make(box.value.trim());
  });
}

async function make(/** @type {string} */ note) {
  await attempt(
    async () => {
      const { task } = await request("POST", "backups", { body: { note } });
      toast("The backup is being made.");
      const made = await whenDone(task);
      if (!made) return;
      toast(`Backup made, ${bytes(made.size)}.`);
      if (!over.signal.aborted) await load();
    },
    { failed: "No backup was made" },
  );
}

function row(/** @type {Backup} */ one) {
  const note = h("div", { class: "row-note" });
  const check = h("button", { class: "small-button", type: "button" }, icon("check"), "Verify");
  const download = h("a", { class: "small-button", href: address(`api/v1/backups/${encodeURIComponent(one.id)}/archive`).href, download: "" }, icon("download"), "Download");
  const back = h("button", { class: "small-button", type: "button", disabled: Boolean(one.problem) }, icon("undo"), "Restore…");
  const remove = h("button", { class: "icon-button", type: "button", title: "Delete", "aria-label": "Delete this backup" }, icon("trash"));
  check.addEventListener("click", () => void verify(one, check, note));
  back.addEventListener("click", () => restore(one));
  remove.addEventListener("click", () => void erase(one, remove));
  const reason = one.reason === "migration" ? "before a change of the database" : one.reason === "manual" ? "made by you" : (one.reason ?? "");
  const holds = Object.entries(one.counts ?? {}).filter(([, n]) => n > 0).slice(0, 4).map(([name, n]) => `${count(n)} ${name.replaceAll("_", " ")}`);
  const facts = [reason, one.version && `version ${one.version}`, one.schema !== null && `schema ${one.schema}`, ...holds].filter(Boolean).join(" · ");
  if (one.problem) note.append(h("p", { class: "file-warning" }, icon("warn"), one.problem));
  return h(
    "div",
    { class: "row backup-row", role: "listitem" },
    h("div", { class: "row-main" }, h("strong", null, when(one.created)), one.note && h("span", { class: "row-remark" }, one.note), h("span", { class: "hint" }, facts)),
    h(
      "div",
      { class: "row-facts" },
      h("span", { class: "row-fact" }, one.verified ? h("span", { class: "good", title: when(one.verified) }, icon("check"), `checked ${ago(one.verified)}`) : "not checked"),
      h("span", { class: "row-fact number-fact" }, bytes(one.size)),
    ),
    h("div", { class: "row-actions" }, download, check, back, remove),
    note,
  );
}

async function verify(/** @type {Backup} */ one, /** @type {HTMLButtonElement} */ button, /** @type {HTMLElement} */ note) {
  await attempt(
    async () => {
      const { ok, problems } = await request("POST", `backups/${encodeURIComponent(one.id)}/verify`);
      if (ok) {
        toast("The backup is whole: every part of it was read and fits.");
        return load();
      }
      return note.replaceChildren(...problems.map((/** @type {string} */ text) => h("p", { class: "file-warning", role: "alert" }, icon("warn"), text)));
    },
    { button, failed: "Not verified" },
  );
}

/** What is open now stays as it is: a backup goes into a folder of its own. */
function restore(/** @type {Backup} */ one) {
  const box = h("input", { placeholder: "/path/to/an/empty/folder", "aria-label": "Empty folder", required: true, autocomplete: "off", spellcheck: false });
  const go = h("button", { class: "small-button strong", type: "submit" }, "Restore there");
  const note = h("p", { class: "form-note", role: "alert" });
  const form = h("form", { class: "line-form" }, box, go, note);
  const text = h("div", { class: "dialog-text" });
  text.append(
    h("p", null, `The backup of ${when(one.created)} is put into an empty folder, which becomes a data folder of its own. What you have now stays untouched.`),
    h("p", null, "To use it, start LoRA Manager with that folder. A folder that does not exist is made."),
  );
  const dialog = openDialog("Restore a backup", [text, form]);
  box.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    note.textContent = "";
    go.disabled = true;
    try {
      const answer = await request("POST", `backups/${encodeURIComponent(one.id)}/restore`, { body: { data: box.value.trim() } });
      dialog.close();
      restored(answer.data);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      note.textContent = error.message;
      box.select();
    } finally {
      go.disabled = false;
    }
  });
}

function restored(/** @type {string} */ folder) {
  const command = `python install.py run --data ${/[\s"'$\\]/.test(folder) ? `'${folder.replaceAll("'", "'\\''")}'` : folder}`;
  const take = h("button", { class: "icon-button", type: "button", title: "Copy", "aria-label": "Copy the command", onclick: () => void copy(command) }, icon("copy"));
  openDialog("The backup is restored", [
    h("div", { class: "dialog-text" }, h("p", null, "It lies in ", h("code", null, folder), ". To go on with it, stop LoRA Manager and start it with this folder, or name the folder in the host's settings:")),
    h("div", { class: "path" }, h("code", null, command), take),
  ]);
}

async function erase(/** @type {Backup} */ one, /** @type {HTMLButtonElement} */ button) {
  const text = [h("p", null, "The backup of ", h("strong", null, when(one.created)), ` (${bytes(one.size)}) is removed from the disk. This cannot be undone.`)];
  if (!(await confirmed({ title: "Delete this backup?", text, action: "Delete for good", danger: true }))) return;
  await attempt(
    async () => {
      await request("DELETE", `backups/${encodeURIComponent(one.id)}`);
      toast("Backup deleted.");
      await load();
    },
    { button, failed: "Not deleted" },
  );
}
