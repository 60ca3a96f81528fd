// The page of Civitai: what is known, looking up what is missing, updates of what one has, downloads. Asks only on a click.
import { request } from "../api.js";
import { attempt } from "../ask.js";
import { h, throttle } from "../dom.js";
import { live } from "../events.js";
import { folderBox } from "../folderbox.js";
import { count, plural } from "../format.js";
import { icon } from "../icons.js";
import { fill, nothing, opener, thumb } from "../pages/parts.js";
import { tasks, whenDone } from "../tasks.js";
import { toast } from "../toast.js";
import { Downloads } from "./downloads.js";
import { download, ignore, newerRow, published } from "./versions.js";

/** @typedef {import("../types.js").CivitaiUpdate} Update */
/** @typedef {{owned: number, looked_up: number, not_found: number, pending: number}} Status */

let over = new AbortController();
/** @type {HTMLElement} */
let statusPlace;
/** @type {HTMLElement} */
let updatesPlace;

/** @returns {Promise<void>} */
export async function open(/** @type {HTMLElement} */ container) {
  over = new AbortController();
  const { signal } = over;
  statusPlace = h("div", { class: "civitai-status" });
  updatesPlace = h("div", { class: "updates" });
  const check = h("button", { class: "small-button", type: "button" }, icon("refresh"), "Check for updates");
  check.addEventListener("click", () => void checkUpdates(check));
  const downloads = new Downloads(signal);
  container.append(
    h("p", { class: "page-note" }, "Nothing is asked of Civitai unless you click here. To look a file up, its SHA256 is sent and nothing else."),
    addressForm(),
    downloads.element,
    h("section", { "aria-label": "Looked up" }, h("h2", null, "Your files"), statusPlace),
    h("section", { "aria-label": "Updates" }, h("header", { class: "section-head" }, h("h2", null, "Newer versions"), check), updatesPlace),
  );
  const again = throttle(() => void loadStatus(), 1500);
  const rest = () => {
    check.disabled = asking(); // Civitai is asked for one thing at a time
    check.title = check.disabled ? "Waits until what is being asked for has come" : "";
  };
  tasks.addEventListener("all", rest, { signal });
  tasks.addEventListener("task", (event) => {
    if (/** @type {CustomEvent} */ (event).detail.kind !== "civitai") return;
    rest();
    again();
  }, { signal });
  rest();
  for (const type of ["library.changed", "reset"]) live.addEventListener(type, again, { signal });
  const newer = throttle(() => void loadUpdates(), 1500);
  for (const type of ["civitai.updates", "library.changed", "reset"]) live.addEventListener(type, newer, { signal });
  await Promise.all([downloads.load(), loadStatus(), loadUpdates()]);
}

export function close() {
  over.abort();
}

/** Paste a page's address, and its newest or named version comes. */
function addressForm() {
  const box = h("input", { type: "text", required: true, placeholder: "https://civitai.com/models/…", "aria-label": "Address on Civitai", autocomplete: "off", spellcheck: false });
  const folder = folderBox({ label: "Folder", placeholder: "Folder: where it belongs" });
  const go = h("button", { class: "small-button", type: "submit" }, icon("download"), "Download");
  const note = h("p", { class: "form-note", role: "alert" });
  const form = h("form", { class: "address-form" }, box, folder.element, go, note);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    note.textContent = "";
    go.disabled = true;
    note.textContent = await download({ url: box.value.trim(), folder: folder.value() || null });
    go.disabled = false;
    if (!note.textContent) box.value = "";
  });
  return form;
}

const asking = () => tasks.running.some(({ kind }) => kind === "civitai");

async function loadStatus() {
  await fill(statusPlace, () => request("GET", "civitai/status"), (/** @type {Status} */ now) => {
    if (over.signal.aborted) return;
    const found = now.looked_up - now.not_found;
    const part = (/** @type {number} */ n) => (now.owned ? (100 * n) / now.owned : 0);
    const bar = h("div", { class: "parts-bar", "aria-hidden": "true" }, h("span", { class: "found", style: { width: `${part(found)}%` } }), h("span", { class: "not-found", style: { width: `${part(now.not_found)}%` } }));
    const facts = h("p", null, h("strong", null, count(found)), " found, ", h("strong", null, count(now.not_found)), " not known to Civitai, ", h("strong", null, count(now.pending)), ` not asked for yet, of ${plural(now.owned, "file")}.`);
    const ask = h("button", { class: now.pending ? "small-button strong" : "small-button", type: "button", disabled: now.pending === 0 }, icon("cloud"), now.pending ? `Look up ${count(now.pending)}` : "All are looked up");
    ask.addEventListener("click", () => void lookUp(false, ask));
    const all = h("button", { class: "small-button", type: "button", disabled: now.owned === 0, title: "Ask for all files again, also those that were found" }, "Ask for all again");
    all.addEventListener("click", () => void lookUp(true, all));
    if (asking()) ask.disabled = all.disabled = true;
    statusPlace.replaceChildren(bar, facts, h("div", { class: "file-actions" }, ask, all));
  });
}

async function lookUp(/** @type {boolean} */ again, /** @type {HTMLButtonElement} */ button) {
  await attempt(
    async () => {
      const { task } = await request("POST", "civitai/lookup", { body: { missing: true, again } });
      toast("Looking up; how far it is stands behind the clock.");
      const result = await whenDone(task);
      if (!over.signal.aborted) void loadStatus();
      if (result) toast(`${count(result.found)} found, ${count(result.not_found)} not known to Civitai${result.skipped ? `, ${count(result.skipped)} not hashed yet` : ""}${result.unanswered ? `, ${count(result.unanswered)} left for later: no answer` : ""}.`);
    },
    { button, failed: "Not looked up" },
  );
}

async function checkUpdates(/** @type {HTMLButtonElement} */ button) {
  await attempt(
    async () => {
      const { task } = await request("POST", "civitai/updates/check", { body: {} });
      const result = await whenDone(task);
      if (result) toast(result.updates ? `${plural(result.updates, "model")} with newer versions.` : `Nothing newer; ${plural(result.checked, "model")} checked.`);
    },
    { button, failed: "Not checked" },
  );
}

async function loadUpdates() {
  await fill(updatesPlace, () => request("GET", "civitai/updates"), ({ items }) => {
    if (over.signal.aborted) return;
    if (items.length) updatesPlace.replaceChildren(...items.map(card));
    else updatesPlace.replaceChildren(nothing("cloud", "Nothing newer is known", ["Check for updates asks Civitai about the models that you have."]));
  });
}

function card(/** @type {Update} */ update) {
  const { lora, model, current, newer } = update;
  const skip = h("button", { class: "small-button", type: "button", title: "Never offer newer versions of this model" }, "Ignore model");
  const gone = () => void loadUpdates();
  skip.addEventListener("click", () => void ignore(model, null, skip).then((done) => done && gone()));
  const page = h("a", { class: "outside", href: model.url, target: "_blank", rel: "noopener noreferrer", referrerPolicy: "no-referrer" }, "Open", icon("external"));
  const have = ["You have ", current.name || "a version", ...[current.base_model, published(current)].filter(Boolean).map((text) => ` · ${text}`)].join("");
  return h(
    "article",
    { class: "update", "aria-label": model.name ?? "Model" },
    h("header", null, lora ? thumb(lora) : "", h("div", { class: "row-main" }, lora ? opener(lora, model.name ?? lora.name) : h("strong", null, model.name), h("span", { class: "hint" }, have)), h("div", { class: "row-actions" }, page, skip)),
    ...newer.map((version) => newerRow(version, model, current.base_model, gone)),
  );
}
