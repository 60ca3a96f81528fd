// The list of downloads: progress, going on with what stopped, and giving up.
import { ApiError, request } from "../api.js";
import { attempt } from "../ask.js";
import { h, throttle } from "../dom.js";
import { live } from "../events.js";
import { bytes } from "../format.js";
import { icon } from "../icons.js";
import { query } from "../query.js";

/** @typedef {import("../types.js").Download} Download */

const DONE_SHOWN = 5;
/** @type {Record<string, string>} */
const STATES = { waiting: "Waiting", running: "Downloading", paused: "Stopped", done: "Done", failed: "Failed" };

export class Downloads {
  /** @param {AbortSignal} signal ends it */
  constructor(signal) {
    this.rows = h("div", { class: "rows" });
    this.element = h("section", { id: "downloads", "aria-label": "Downloads", hidden: true }, h("h2", null, "Downloads"), this.rows);
    /** @type {Map<number, {element: HTMLElement, show: (one: Download) => void}>} */
    this.shown = new Map();
    /** @type {Map<number, Download>} */
    this.items = new Map();
    this.signal = signal;
    const again = throttle(() => void this.load(), 500);
    live.addEventListener("reset", again, { signal });
    live.addEventListener("civitai.download", (event) => {
      const change = /** @type {CustomEvent} */ (event).detail;
      const known = this.items.get(change.id);
      if (!known || change.state !== known.state) return again();
      Object.assign(known, change);
      this.shown.get(change.id)?.show(known);
      return undefined;
    }, { signal });
  }

  async load() {
    try {
      const { items } = await request("GET", "civitai/downloads");
      if (this.signal.aborted) return;
      let done = 0;
      const wanted = items.filter((/** @type {Download} */ one) => one.state !== "done" || (done += 1) <= DONE_SHOWN);
      this.items = new Map(wanted.map((/** @type {Download} */ one) => [one.id, one]));
      this.element.hidden = wanted.length === 0;
      const elements = wanted.map((/** @type {Download} */ one) => {
        const there = this.shown.get(one.id) ?? downloadRow(() => void this.load());
        this.shown.set(one.id, there);
        there.show(one);
        return there.element;
      });
      this.rows.replaceChildren(...elements);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the other parts of the page say it
    }
  }
}

/** One download; `show` brings it up to date without moving anything. */
function downloadRow(/** @type {() => void} */ again) {
  let id = 0;
  const title = h("strong");
  const place = h("span", { class: "hint" });
  const bar = h("progress");
  const state = h("span", { class: "row-fact" });
  const note = h("p", { class: "row-note file-warning" });
  const resume = h("button", { class: "small-button", type: "button" }, icon("play"), "Resume");
  const cancel = h("button", { class: "small-button", type: "button" }, "Cancel");
  const open = h("button", { class: "small-button", type: "button" }, "Details");
  /** @type {number|null} */
  let lora = null;
  const post = (/** @type {string} */ what, /** @type {HTMLButtonElement} */ button) =>
    attempt(
      async () => {
        await request("POST", `civitai/downloads/${id}/${what}`);
        again();
      },
      { button },
    );
  resume.addEventListener("click", () => void post("resume", resume));
  cancel.addEventListener("click", () => void post("cancel", cancel));
  open.addEventListener("click", () => lora !== null && query.setOpen(lora));
  const element = h("div", { class: "row download-row" }, h("div", { class: "row-main" }, title, place), bar, state, h("div", { class: "row-actions" }, resume, cancel, open), note);
  return {
    element,
    show(/** @type {Download} */ one) {
      ({ id, lora_id: lora } = one);
      const running = one.state === "running" || one.state === "waiting";
      title.textContent = one.name || one.file;
      place.textContent = `${one.folder}/${one.file}`;
      bar.setAttribute("aria-label", `${one.file}: ${STATES[one.state] ?? one.state}`);
      if (one.size) [bar.max, bar.value] = [one.size, Math.min(one.received, one.size)];
      bar.classList.toggle("resting", !running);
      const sizes = one.state === "done" ? bytes(one.size || one.received) : [bytes(one.received), one.size ? bytes(one.size) : ""].filter(Boolean).join(" of ");
      state.textContent = `${STATES[one.state] ?? one.state} · ${sizes}`;
      note.hidden = one.state !== "failed" || !one.message;
      note.replaceChildren(icon("warn"), one.message ?? "");
      resume.hidden = running || one.state === "done";
      cancel.hidden = one.state === "done";
      cancel.title = running ? "Stop, and throw away what has arrived" : "Throw away what has arrived";
      open.hidden = one.state !== "done" || lora === null;
    },
  };
}
