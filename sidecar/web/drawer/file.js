// The drawer's File tab: where the file lies, renaming, moving and deleting it, its hashes, and what lies beside it.
import { copy } from "../actions.js";
import { request } from "../api.js";
import { attempt, confirmed } from "../ask.js";
import { add, h } from "../dom.js";
import { bytes, count, when } from "../format.js";
import { icon } from "../icons.js";
import { deleteLoras, forgetLoras, moveLoras, renameLora } from "../fileactions.js";
import { section } from "./sections.js";

/** @typedef {import("../types.js").Detail} Detail */

/** @type {[string, string, string][]} key in the answer, name, what it is */
const HASHES = [
  ["sha256", "SHA256", "of the whole file"],
  ["autov1", "AutoV1", "SHA256 of 64 KiB at 1 MiB, 8 digits"],
  ["autov2", "AutoV2", "the first 10 digits of SHA256"],
  ["autov3", "AutoV3", "SHA256 of what follows the header, 12 digits: it stays when the header is edited"],
  ["claimed_autov3", "AutoV3 claimed", "what the header says its AutoV3 is"],
  ["blake3", "BLAKE3", "of the whole file"],
  ["crc32", "CRC32", "of the whole file"],
];

function copyButton(/** @type {string} */ text, /** @type {string} */ what) {
  return h("button", { class: "icon-button", type: "button", title: `Copy ${what}`, "aria-label": `Copy ${what}`, onclick: () => void copy(text) }, icon("copy"));
}

export class FileTab {
  constructor() {
    this.element = h("div", { class: "tab-part" });
    this.stamp = "";
  }

  show(/** @type {Detail} */ detail) {
    const stamp = JSON.stringify([detail.id, detail.path, detail.state, detail.size, detail.modified, detail.hashes, detail.hashing_pending, detail.side_files, detail.warnings, detail.write_back]);
    if (stamp === this.stamp) return;
    this.stamp = stamp;
    this.element.replaceChildren();
    add(this.element, [place(detail), facts(detail), hashes(detail)]);
  }

  leave() {
    this.stamp = "";
  }
}

function place(/** @type {Detail} */ detail) {
  const there = detail.state !== "missing";
  const open = h("button", { class: "small-button", type: "button" }, icon("external"), "Open folder");
  open.addEventListener("click", () => void attempt(() => request("POST", `loras/${detail.id}/open-folder`), { button: open }));
  const move = h("button", { class: "small-button", type: "button" }, icon("move"), "Move…");
  move.addEventListener("click", () => moveLoras({ ids: [detail.id] }, 1, detail.folder));
  const remove = h("button", { class: "small-button danger-text", type: "button" }, icon("trash"), "Delete");
  remove.addEventListener("click", () => void deleteLoras({ ids: [detail.id] }, 1, remove));
  const forget = h("button", { class: "small-button", type: "button" }, icon("gone"), "Forget");
  forget.addEventListener("click", async () => {
    const text = [h("p", null, "It leaves the list. What you noted about its contents is kept, and is there again should the file ever come back.")];
    if (await confirmed({ title: "Forget this missing file?", text, action: "Forget" })) void forgetLoras({ ids: [detail.id] }, forget);
  });
  return section(
    "File",
    h("div", { class: "path" }, h("code", null, detail.path), copyButton(detail.path, "the path")),
    there && nameForm(detail),
    h("div", { class: "file-actions" }, there && detail.can_open_folder && open, there && move, there && remove, !there && forget),
    ...(detail.warnings ?? []).map((text) => h("p", { class: "file-warning" }, icon("warn"), text)),
  );
}

/** The file's name in a box; Enter renames it with everything beside it. */
function nameForm(/** @type {Detail} */ detail) {
  const ending = detail.path.slice(detail.path.lastIndexOf("."));
  const box = h("input", { value: detail.name, "aria-label": "File name without its ending", maxLength: 200, autocomplete: "off", spellcheck: false, required: true });
  const save = h("button", { class: "small-button strong", type: "submit", hidden: true }, "Rename");
  const note = h("p", { class: "form-note", role: "alert" });
  const form = h("form", { class: "name-form" }, box, h("span", { class: "ending" }, ending), save, note);
  const changed = () => box.value.trim() !== "" && box.value.trim() !== detail.name;
  box.addEventListener("input", () => {
    save.hidden = !changed();
    note.textContent = "";
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    box.value = detail.name;
    save.hidden = true;
    note.textContent = "";
    box.blur();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!changed()) return;
    save.disabled = true;
    note.textContent = await renameLora(detail, box.value.trim());
    save.disabled = false;
  });
  return form;
}

function facts(/** @type {Detail} */ detail) {
  /** @type {[string, import("../dom.js").Child][]} */
  const rows = [
    ["Folder", detail.folder],
    ["Size", h("span", null, bytes(detail.size), " ", h("span", { class: "hint" }, `${count(detail.size)} bytes`))],
    ["Modified", when(detail.modified)],
    ["Added", when(detail.added)],
  ];
  const state = writeBack(detail);
  if (state) rows.push(["Write back", state]);
  const beside = detail.side_files.length ? h("div", null, ...detail.side_files.map((name) => h("div", { class: "file" }, name))) : h("span", { class: "hint" }, "nothing");
  rows.push(["Beside it", beside]);
  return h("dl", { class: "facts tab-facts" }, ...rows.flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]));
}

/** Whether the user's edits are in the side files yet; nothing when they are not to be written. */
function writeBack(/** @type {Detail} */ detail) {
  const { state, reason } = detail.write_back ?? { state: "off", reason: null };
  if (state === "off") return null;
  if (state === "refused") return h("span", { class: "file-warning" }, icon("warn"), `Not written: ${reason ?? "the side file cannot be changed."}`);
  if (state === "due") return reason ? `Waiting: ${reason}` : "Waiting to be written";
  return h("span", { class: "good" }, icon("check"), "Your edits are in its side file");
}

function hashes(/** @type {Detail} */ detail) {
  const rows = HASHES.filter(([key]) => key in detail.hashes && (key !== "claimed_autov3" || detail.hashes[key])).flatMap(([key, name, what]) => {
    const value = detail.hashes[key];
    const known = value ? [h("code", null, value), copyButton(value, name)] : [h("span", { class: "hint" }, detail.hashing_pending ? "pending" : "none")];
    const differs = key === "claimed_autov3" && value && detail.hashes["autov3"] && value !== detail.hashes["autov3"];
    return [h("dt", { title: what }, name), h("dd", { class: "hash" }, ...known, differs && h("p", { class: "file-warning" }, icon("warn"), "The header claims another one than the weights have."))];
  });
  return section("Hashes", h("dl", { class: "facts" }, ...rows));
}
