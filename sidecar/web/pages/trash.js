// The page of deleted LoRAs: what lies in the trash, bringing it back, and removing it for good.
import { request } from "../api.js";
import { attempt, confirmed } from "../ask.js";
import { find, h, throttle } from "../dom.js";
import { live } from "../events.js";
import { ago, bytes, plural, when } from "../format.js";
import { icon } from "../icons.js";
import { preferences } from "../preferences.js";
import { whenDone } from "../tasks.js";
import { toast } from "../toast.js";
import { offerUndo } from "../undo.js";
import { fill, nothing, pictureOf } from "./parts.js";

/** @typedef {import("../types.js").Trashed} Trashed */

let over = new AbortController();
/** @type {HTMLElement} */
let body;
/** @type {HTMLElement} */
let list;
/** @type {HTMLElement} */
let summary;
/** @type {HTMLButtonElement} */
let emptyButton;
/** @type {HTMLButtonElement} */
let restoreButton;
/** @type {Map<number, Trashed>} */
let items = new Map();
/** @type {Set<number>} */
let picked = new Set();
let total = 0;
let size = 0;
/** @type {string|null} */
let cursor = null;

/** @returns {Promise<void>} */
export async function open(/** @type {HTMLElement} */ container) {
  over = new AbortController();
  picked = new Set();
  body = container;
  summary = h("p", { class: "page-note" });
  list = h("div", { class: "rows", role: "list", "aria-label": "Deleted LoRAs" });
  emptyButton = h("button", { class: "small-button danger-text", type: "button" }, icon("trash"), "Empty the trash");
  restoreButton = h("button", { class: "small-button", type: "button", hidden: true }, icon("undo"), "Restore");
  emptyButton.addEventListener("click", () => void empty());
  restoreButton.addEventListener("click", () => void restore([...picked], restoreButton));
  find("#page-tools").append(restoreButton, emptyButton);
  container.append(summary, list);
  const again = throttle(() => void load(), 500);
  for (const type of ["trash.changed", "files.changed", "reset"]) live.addEventListener(type, again, { signal: over.signal });
  preferences.addEventListener("change", again, { signal: over.signal });
  await load();
}

export function close() {
  over.abort();
}

/** The list anew; rows that stay are not touched. */
async function load() {
  const shown = Math.max(200, items.size);
  await fill(list, () => request("GET", `trash?limit=${Math.min(1000, shown)}`), (answer) => {
    if (over.signal.aborted) return;
    items = new Map(answer.items.map((/** @type {Trashed} */ one) => [one.id, one]));
    ({ total, size, next_cursor: cursor } = answer);
    picked = new Set([...picked].filter((id) => items.has(id)));
    draw();
  });
}

async function more() {
  const answer = await attempt(() => request("GET", `trash?limit=200&cursor=${cursor}`));
  if (!answer || over.signal.aborted) return;
  for (const one of answer.items) items.set(one.id, one);
  cursor = answer.next_cursor;
  draw();
}

function draw() {
  const days = preferences.values?.trash_days ?? 30;
  const kept = days ? `Each is removed for good ${plural(days, "day")} after it was deleted.` : "They stay until you remove them.";
  summary.textContent = total ? `${plural(total, "LoRA")}, ${bytes(size)}. ${kept}` : "";
  emptyButton.disabled = total === 0;
  tools();
  if (!total) return list.replaceChildren(nothing("trash", "The trash is empty", ["What you delete comes here first, with everything beside it, and can be brought back."]));
  const there = new Map([...list.children].map((one) => [one instanceof HTMLElement ? one.dataset["id"] : undefined, one]));
  list.replaceChildren(...[...items.values()].map((one) => there.get(String(one.id)) ?? row(one)));
  if (cursor) list.append(h("button", { class: "small-button more-rows", type: "button", onclick: () => void more() }, "Show more"));
  return undefined;
}

function tools() {
  restoreButton.hidden = picked.size === 0;
  restoreButton.replaceChildren(icon("undo"), `Restore ${picked.size}`);
}

function row(/** @type {Trashed} */ one) {
  const pick = h("input", { type: "checkbox", "aria-label": `Choose ${one.title}` });
  pick.addEventListener("change", () => {
    if (pick.checked) picked.add(one.id);
    else picked.delete(one.id);
    tools();
  });
  const back = h("button", { class: "small-button", type: "button", "aria-label": `Restore ${one.title}` }, icon("undo"), "Restore");
  const gone = h("button", { class: "icon-button", type: "button", title: "Remove for good", "aria-label": `Remove ${one.title} for good` }, icon("close"));
  const note = h("div", { class: "row-note" });
  back.addEventListener("click", () => void restore([one.id], back, note));
  gone.addEventListener("click", () => void remove(one, gone));
  const files = one.files.length > 1 ? plural(one.files.length, "file") : (one.files[0] ?? "");
  return h(
    "div",
    { class: "row trash-row", role: "listitem", "data-id": one.id },
    pick,
    pictureOf(one.preview ? `api/v1/trash/${one.id}/preview` : null, one.title),
    h("div", { class: "row-main" }, h("strong", null, one.title), h("span", { class: "hint" }, [one.folder, files].filter(Boolean).join(" · "))),
    h(
      "div",
      { class: "row-facts" },
      h("span", { class: "row-fact", title: when(one.deleted) }, ago(one.deleted)),
      h("span", { class: "row-fact" }, one.expires ? leaves(one.expires) : ""),
      h("span", { class: "row-fact number-fact" }, bytes(one.size)),
    ),
    h("div", { class: "row-actions" }, back, gone),
    note,
  );
}

/** "goes in 12 days" */
function leaves(/** @type {number} */ expires) {
  const days = Math.ceil((expires - Date.now() / 1000) / 86_400);
  return days <= 0 ? "goes today" : `goes in ${plural(days, "day")}`;
}

/** @param {number[]} ids @param {HTMLButtonElement} button @param {HTMLElement} [note] where a single one's refusal is told @param {string} [name] another name for it */
async function restore(ids, button, note, name) {
  await attempt(
    async () => {
      const answer = await request("POST", "trash/restore", { body: { ids, ...(name ? { name } : {}) } });
      const outcome = answer.task ? await whenDone(answer.task) : answer;
      if (!outcome) return;
      const failed = outcome.items.filter((/** @type {any} */ item) => item.state === "conflict" || item.state === "failed");
      if (outcome.done) offerUndo(outcome, `${plural(outcome.done, "LoRA")} restored.${failed.length ? ` ${plural(failed.length, "was", "were")} not: ${failed[0].reason}` : ""}`);
      else if (note && failed[0]) refused(ids[0] ?? 0, failed[0].reason, button, note);
      else if (failed[0]) toast(failed[0].reason, { kind: "error" });
      picked.clear();
      await load();
    },
    { button, failed: "Not restored" },
  );
}

/** Say why, and offer to bring it back under another name. @param {number} id @param {string} reason @param {HTMLButtonElement} button @param {HTMLElement} note */
function refused(id, reason, button, note) {
  const box = h("input", { value: items.get(id)?.name ?? "", "aria-label": "Another name", maxLength: 200, spellcheck: false, autocomplete: "off", required: true });
  const form = h("form", { class: "line-form" }, box, h("button", { class: "small-button", type: "submit" }, "Restore under this name"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void restore([id], button, note, box.value.trim());
  });
  note.replaceChildren(h("p", { class: "file-warning", role: "alert" }, icon("warn"), reason), form);
  box.select();
}

async function remove(/** @type {Trashed} */ one, /** @type {HTMLButtonElement} */ button) {
  const text = [h("p", null, h("strong", null, one.title), ` and its ${plural(one.files.length, "file")} (${bytes(one.size)}) are removed from the disk. This cannot be undone.`)];
  if (await confirmed({ title: "Remove for good?", text, action: "Remove for good", danger: true })) await purge({ ids: [one.id] }, button);
}

async function empty() {
  const text = [h("p", null, h("strong", null, `${plural(total, "LoRA")}, ${bytes(size)}`), " are removed from the disk. This cannot be undone.")];
  if (await confirmed({ title: "Empty the trash?", text, action: "Remove all for good", danger: true })) await purge({}, emptyButton);
}

async function purge(/** @type {{ids?: number[]}} */ what, /** @type {HTMLButtonElement} */ button) {
  await attempt(
    async () => {
      const { removed, freed, failed } = await request("POST", "trash/empty", { body: what });
      if (failed.length) toast(`${plural(failed.length, "LoRA")} could not be removed: ${failed[0].reason}`, { kind: "error" });
      else toast(`${plural(removed, "LoRA")} removed for good, ${bytes(freed)} free.`);
      await load();
    },
    { button, failed: "Not removed" },
  );
  if (body.isConnected) emptyButton.disabled = total === 0;
}
