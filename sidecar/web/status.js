// What the sidecar is doing: scan and hashing progress in the bar, folders and facts in the popover, the banner when it is gone.
import { ApiError, addFolder, pauseHashing, readHealth, readStatus, startScan } from "./api.js";
import { bridge } from "./bridge.js";
import { add, debounce, find, h } from "./dom.js";
import { bytes, count, plural } from "./format.js";
import { live } from "./events.js";
import { icon } from "./icons.js";
import { library } from "./library.js";
import { toast } from "./toast.js";
import { setWhole } from "./toolbar.js";

/** @typedef {import("./types.js").LibraryStatus} LibraryStatus */

/** @type {LibraryStatus|null} */
export let status = null;

export function startStatus() {
  const popover = find("#status");
  popover.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "open") void drawPopover();
  });
  live.on("library.scan", (data) => take({ ...status, ...data }));
  live.on("library.hashing", (data) => status && take({ ...status, hashing: { ...status.hashing, ...data } }));
  live.on("down", showGone);
  live.on("up", () => {
    find("#gone").hidden = true;
    void library.reload({ keepPlace: true });
    void refreshStatus();
  });
  live.on("reset", () => void refreshStatus());
  live.on("polled", () => void refreshStatus());
  const refresh = debounce(() => void refreshStatus(), 400);
  live.on("library.changed", refresh);
  find("#retry").addEventListener("click", () => live.retry());
}

/** Ask for everything anew (start, after a break). */
export async function refreshStatus() {
  try {
    const [health, now] = await Promise.all([readHealth(), readStatus()]);
    setWhole(health.loras);
    take(now);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the banner or the sign-in view says it
  }
}

function take(/** @type {LibraryStatus} */ now) {
  const before = status;
  status = now;
  drawBar(now);
  library.emit("status", now);
  if (find("#status").matches(":popover-open") && before) void drawPopover();
}

/** The thin bar and one line of text. */
function drawBar(/** @type {LibraryStatus} */ now) {
  const bar = find("#progress");
  const text = find("#activity");
  const button = find("#status-button");
  const { hashing, scanning } = now;
  const offline = (now.folders ?? []).some((folder) => !folder.online);
  const part = now.total > 0 ? Math.min(1, now.read / now.total) : 0;
  bar.hidden = !scanning;
  bar.classList.toggle("unsure", scanning && !(now.total > 0));
  bar.style.setProperty("--part", String(part));
  bar.setAttribute("aria-valuenow", String(Math.round(part * 100)));
  button.dataset["state"] = scanning ? "busy" : offline || now.message ? "warn" : hashing?.pending && !hashing.paused ? "busy" : "well";
  if (scanning) {
    text.replaceChildren(now.total > 0 ? `Reading ${count(now.read)} of ${count(now.total)} files…` : `Looking for files… ${now.found ? count(now.found) : ""}`);
  } else if (hashing?.pending) {
    const word = hashing.paused ? "Hashing paused" : "Hashing";
    const label = hashing.paused ? "Go on hashing" : "Pause hashing";
    const toggle = h("button", { class: "icon-button tiny", type: "button", title: label, "aria-label": label }, icon(hashing.paused ? "play" : "pause"));
    toggle.addEventListener("click", () => void setPaused(!hashing.paused));
    text.replaceChildren(`${word}, ${count(hashing.pending)} left`, toggle);
  } else if (now.message) text.replaceChildren(now.message);
  else text.replaceChildren();
}

async function setPaused(/** @type {boolean} */ paused) {
  if (status) take({ ...status, hashing: { ...status.hashing, paused } });
  await attempt(() => pauseHashing(paused));
}

export async function rescan() {
  await attempt(startScan);
}

/** Run a request of the user's; a failure is told. @returns {Promise<boolean>} */
async function attempt(/** @type {() => Promise<unknown>} */ run) {
  try {
    await run();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message, { kind: "error" });
    return false;
  }
}

async function drawPopover() {
  const place = find("#status-body");
  let health = null;
  try {
    health = await readHealth();
    status ??= await readStatus();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
  if (!health || !status) return place.replaceChildren(h("p", { class: "hint" }, "LoRA Manager does not answer."));
  const typed = place.querySelector("input")?.value ?? "";
  if (place.contains(document.activeElement) && typed) return undefined; // a folder is being typed
  place.replaceChildren();
  add(place, [
    status.message && h("p", { class: "status-message" }, status.message),
    h("section", null, h("h3", null, "Folders"), ...folderRows(status), folderForm()),
    h(
      "div",
      { class: "status-actions" },
      h("button", { class: "small-button", type: "button", disabled: status.scanning, onclick: () => void rescan() }, icon("refresh"), status.scanning ? "Reading…" : "Look for changes"),
    ),
    h(
      "dl",
      { class: "facts" },
      h("dt", null, "LoRAs"),
      h("dd", null, count(health.loras), status.broken ? `, ${count(status.broken)} broken` : ""),
      h("dt", null, "Hashes"),
      h("dd", null, hashText(status.hashing)),
      h("dt", null, "Text embeddings"),
      h("dd", null, health.embeddings.model ?? "no text model, see ", health.embeddings.model ? null : h("a", { href: "#page=settings" }, "Settings"), health.embeddings.pending ? `, ${count(health.embeddings.pending)} left to read` : ""),
      h("dt", null, "Host"),
      h("dd", null, health.host ?? bridge.host?.host ?? "none (standalone)"),
      h("dt", null, "Data folder"),
      h("dd", null, h("code", null, health.data)),
      h("dt", null, "Version"),
      h("dd", null, health.version),
    ),
  ]);
  return undefined;
}

function hashText(/** @type {import("./types.js").Hashing} */ hashing) {
  if (!hashing.pending) return "all computed";
  const speed = hashing.bytes_per_second && !hashing.paused ? `, ${bytes(hashing.bytes_per_second)}/s` : "";
  return `${count(hashing.pending)} left${hashing.paused ? ", paused" : speed}`;
}

/** @returns {HTMLElement[]} */
export function folderRows(/** @type {LibraryStatus} */ now) {
  if (!now.folders?.length) return [h("p", { class: "hint" }, "No folder yet.")];
  return now.folders.map((folder) =>
    h(
      "div",
      { class: folder.online ? "folder-row" : "folder-row offline" },
      icon(folder.online ? "folder" : "warn"),
      h("div", null, h("code", null, folder.path), h("span", { class: "hint" }, folder.online ? plural(folder.loras, "LoRA") : `${folder.message?.replace(/\.$/, "") || "Not there now"}. Its LoRAs are kept.`)),
    ),
  );
}

/** A form that adds a LoRA folder by its path. */
export function folderForm() {
  const box = h("input", { type: "text", name: "path", placeholder: "/path/to/more/loras", "aria-label": "Folder to add", autocomplete: "off", spellcheck: false, required: true });
  const note = h("p", { class: "form-note", role: "alert" });
  const form = h("form", { class: "folder-form" }, box, h("button", { class: "small-button", type: "submit" }, icon("plus"), "Add folder"), note);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    note.textContent = "";
    addFolder(box.value.trim()).then(
      () => {
        box.value = "";
        toast("Folder added; its files are being read.");
        void refreshStatus();
      },
      (error) => (note.textContent = error.message),
    );
  });
  return form;
}

function showGone(/** @type {{seconds: number, message: string}} */ { seconds, message }) {
  find("#gone").hidden = false;
  find("#gone-text").textContent = `${message || "LoRA Manager does not answer."} What you see is what it last said; next try ${seconds < 1 ? "now" : `in ${Math.round(seconds)} s`}.`;
}
