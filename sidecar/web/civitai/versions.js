// Versions of Civitai's models, wherever they are listed: what one is, downloading it into a folder, offering it no more.
import { ApiError, request } from "../api.js";
import { attempt, openDialog } from "../ask.js";
import { h } from "../dom.js";
import { folderBox } from "../folderbox.js";
import { bytes } from "../format.js";
import { icon } from "../icons.js";
import { goTo } from "../pages.js";
import { toast } from "../toast.js";

/** @typedef {import("../types.js").CivitaiVersion} Version */
/** @typedef {import("../types.js").CivitaiModel} Model */

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** When a version was published, as a date. */
export function published(/** @type {Version} */ version) {
  const at = version.published ? new Date(version.published) : null;
  return at && !Number.isNaN(at.getTime()) ? day.format(at) : "";
}



/**
 * A version that can be downloaded, or not be offered any more.
 * @param {Version} version
 * @param {Model} model
 * @param {string} owned base model of the version that the user has: another one is told
 * @param {() => void} changed it was ignored: ask anew
 */
export function newerRow(version, model, owned, changed) {
  const get = h("button", { class: "small-button", type: "button", "aria-label": `Download ${version.name}` }, icon("download"), "Download");
  const skip = h("button", { class: "icon-button", type: "button", title: "Do not offer this version again", "aria-label": `Ignore ${version.name}` }, icon("close"));
  get.addEventListener("click", () => askFolder(version, model));
  skip.addEventListener("click", () => void ignore(model, version.id, skip).then((done) => done && changed()));
  const other = version.base_model && owned && version.base_model !== owned;
  const facts = h("span", { class: "hint" }, other ? h("span", { class: "other-base" }, version.base_model) : version.base_model, [published(version), version.size ? bytes(version.size) : ""].filter(Boolean).map((text) => ` · ${text}`).join(""));
  return h("div", { class: "version" }, h("div", { class: "row-main" }, h("strong", null, version.name || "Unnamed"), facts), h("div", { class: "row-actions" }, get, skip));
}

/** @param {Model} model @param {number|null} version null: the whole model @param {HTMLButtonElement} button @returns {Promise<boolean>} */
export async function ignore(model, version, button) {
  const set = (/** @type {boolean} */ wanted) => request("POST", "civitai/updates/ignore", { body: { model_id: model.id, version_id: version, ignore: wanted } });
  const done = await attempt(() => set(true), { button, failed: "Not ignored" });
  if (!done) return false;
  const what = version === null ? `${model.name ?? "This model"} is not offered any more.` : "This version is not offered any more.";
  toast(what, { action: { label: "Undo", run: () => void attempt(() => set(false), { failed: "Not undone" }) } });
  return true;
}

/** Where to, and which file when there are several. */
function askFolder(/** @type {Version} */ version, /** @type {Model} */ model) {
  const folder = folderBox({ label: "Folder", placeholder: "The folder it belongs in" });
  const choice = h("select", { "aria-label": "File" }, ...version.files.map((file) => h("option", { value: file.id ?? "" }, `${file.name}${file.size ? ` (${bytes(file.size)})` : ""}`)));
  const go = h("button", { class: "small-button strong", type: "submit" }, icon("download"), "Download");
  const note = h("p", { class: "form-note", role: "alert" });
  const form = h("form", { class: "line-form" }, folder.element, go, note);
  const about = h("p", { class: "hint" }, "Left empty, it goes beside other versions of its model, else where the folder template puts it.");
  const dialog = openDialog(`Download ${[model.name, version.name].filter(Boolean).join(" · ")}`, [about, version.files.length > 1 && choice, form]);
  go.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    note.textContent = "";
    go.disabled = true;
    const file = version.files.length > 1 ? Number(choice.value) || null : null;
    const problem = await download({ version_id: version.id, folder: folder.value() || null, file_id: file });
    go.disabled = false;
    if (problem) note.textContent = problem;
    else dialog.close();
  });
}

/**
 * Begin a download.
 * @param {{version_id?: number, url?: string, folder: string|null, file_id?: number|null}} what
 * @returns {Promise<string>} why it was refused; empty when it began
 */
export async function download(what) {
  try {
    const answer = await request("POST", "civitai/downloads", { body: what });
    toast(`Downloading ${answer.file} into ${answer.folder}.`, { action: { label: "Show", run: show } });
    return "";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.message;
  }
}

/** Go to the list of downloads. */
function show() {
  goTo("civitai");
  setTimeout(() => document.getElementById("downloads")?.scrollIntoView({ block: "nearest" }), 300);
}
