// Editing in place: shown at once, saved behind it, with a visible state, a retry and a way back to what the files say.
// When somebody else changed the value meanwhile, the user decides whose stays.
import { ApiError, editLora } from "../api.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { library } from "../library.js";
import { sourceBadge } from "./sources.js";
import { toast } from "../toast.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {"title"|"weight"|"trigger_words"|"tags"|"notes"|"base_model"|"negative_prompt"} Editable */
/** @typedef {(theirs: any, mine: any) => unknown} Join both values as one */

/** @typedef {{id: number, next: {value: unknown}|null}} Job a save on its way, and the value to save after it */

/** A titled block of the drawer whose value the user may change. */
export class Field {
  /**
   * @param {string} label
   * @param {Editable} name
   * @param {(detail: Detail) => void} saved gets the sidecar's answer
   * @param {{both?: Join}} [options] both: how two edits become one
   */
  constructor(label, name, saved, { both } = {}) {
    this.label = label;
    this.name = name;
    this.saved = saved;
    this.both = both;
    this.id = 0;
    /** @type {unknown} the value as the user knows it */
    this.was = null;
    /** @type {Job|null} */
    this.job = null;
    /** The user's value is not saved, and waits for a retry or a decision. */
    this.unsaved = false;
    this.state = h("span", { class: "save-state", role: "status" });
    this.source = sourceBadge(label, name, (value) => void this.save(value));
    this.reset = h("button", { class: "quiet reset", type: "button", title: "Back to what the files say", hidden: true }, icon("undo"), "Reset");
    this.reset.addEventListener("click", () => void this.save(null));
    this.head = h("div", { class: "field-head" }, h("h3", null, label), this.source.element, this.state, this.reset);
    this.body = h("div", { class: "field-body" });
    this.conflict = h("div", { class: "conflict", role: "alert", hidden: true });
    this.element = h("section", { class: `field field-${name}`, "aria-label": label }, this.head, this.body, this.conflict);
  }

  /**
   * Show where the present value comes from.
   * @param {Detail} detail
   * @param {boolean} [dirty] the user is typing something else: then what the field was before stays known, so that a value
   *   that somebody else has saved meanwhile is not overwritten unseen
   * @returns {boolean} whether the value may be shown: not over an unsaved one
   */
  update(detail, dirty = false) {
    if (this.id !== detail.id) {
      this.job = null;
      this.#say("");
    } else if (this.job || this.unsaved || dirty) return false;
    this.id = detail.id;
    this.was = detail[this.name];
    this.source.update(detail);
    this.reset.hidden = detail.sources[this.name] !== "user";
    return true;
  }

  /**
   * Save a new value; null goes back to what the files say. Saves of one field follow each other.
   * @param {unknown} value
   * @param {unknown} [was] what is there now, as far as the user knows
   */
  async save(value, was = this.was) {
    if (this.job) return void (this.job.next = { value });
    const job = /** @type {Job} */ ({ id: this.id, next: null });
    this.job = job;
    this.#say("Saving…");
    const shown = () => this.job === job;
    for (;;) {
      if (value !== null) library.patch(job.id, /** @type {any} */ ({ [this.name]: value }));
      try {
        const detail = await editLora(job.id, { [this.name]: value, was: { [this.name]: was } });
        library.patch(job.id, detail);
        was = detail[this.name];
        if (!job.next) {
          if (shown()) this.#saved(detail);
          return undefined;
        }
        value = job.next.value;
        job.next = null;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.#refused(error, job.next ? job.next.value : value, was, shown());
        return undefined;
      }
    }
  }

  #say(/** @type {string} */ text, kind = "", /** @type {Node[]} */ ...more) {
    this.state.className = `save-state ${kind}`;
    this.state.replaceChildren(...more, text);
    this.unsaved = kind === "failed";
    this.conflict.hidden = true;
  }

  #saved(/** @type {Detail} */ detail) {
    this.job = null;
    this.#say("Saved", "saved", icon("check"));
    this.saved(detail);
  }

  /** @param {ApiError} error @param {unknown} value @param {unknown} was @param {boolean} shown whether the user still looks at that LoRA */
  #refused(error, value, was, shown) {
    if (!shown) return toast(`${this.label} of the LoRA before was not saved: ${error.message}`, { kind: "error" });
    this.job = null;
    const conflict = error.status === 409 && error.detail && this.name in error.detail;
    const again = h("button", { class: "quiet", type: "button", onclick: () => void this.save(value, was) }, "Retry");
    this.#say(conflict ? "Not saved" : "", "failed", ...(conflict ? [] : [new Text(`Not saved: ${error.message} `), again]));
    if (conflict) this.#settle(value, error.detail[this.name]);
    return undefined;
  }

  /** Show both values and let the user choose. */
  #settle(/** @type {unknown} */ mine, /** @type {unknown} */ theirs) {
    const { both } = this;
    const choice = (/** @type {string} */ text, /** @type {() => void} */ run) => h("button", { class: "small-button", type: "button", onclick: run }, text);
    const keep = () => {
      this.#say("");
      this.element.dispatchEvent(new CustomEvent("reread", { bubbles: true }));
    };
    this.conflict.replaceChildren(
      h("p", null, icon("warn"), h("strong", null, "Changed elsewhere while you were editing.")),
      h("dl", null, h("dt", null, "There now"), h("dd", null, asText(theirs)), h("dt", null, "Yours"), h("dd", null, mine === null ? "what the files say" : asText(mine))),
      h(
        "div",
        { class: "conflict-actions" },
        choice("Keep theirs", keep),
        choice("Overwrite with mine", () => void this.save(mine, theirs)),
        both && mine !== null ? choice("Keep both", () => void this.save(both(theirs, mine), theirs)) : "",
      ),
    );
    this.conflict.hidden = false;
  }
}

/** A field's value for reading: lists with commas, nothing as a dash. */
export function asText(/** @type {unknown} */ value) {
  if (Array.isArray(value)) return value.length ? value.join(", ") : "–";
  return value === null || value === undefined || value === "" ? "–" : String(value);
}

/**
 * A text box that saves when it is left, on Enter (Ctrl+Enter with several lines), and after a pause in typing when
 * `pause` is given; Escape brings the old text back.
 * @param {HTMLInputElement|HTMLTextAreaElement} box
 * @param {{read: () => string, save: (text: string) => void, pause?: number}} options read gives the value as it is now
 */
export function savesText(box, { read, save, pause }) {
  let timer = 0;
  const commit = () => {
    clearTimeout(timer);
    if (box.value.trim() !== read()) save(box.value.trim());
  };
  box.addEventListener("blur", commit);
  box.addEventListener("input", () => {
    clearTimeout(timer);
    if (pause) timer = window.setTimeout(commit, pause);
  });
  box.addEventListener("keydown", (/** @type {Event} */ event) => {
    const { key, ctrlKey, metaKey } = /** @type {KeyboardEvent} */ (event);
    if (key === "Enter" && (box instanceof HTMLInputElement || ctrlKey || metaKey)) {
      event.preventDefault();
      commit();
    } else if (key === "Escape") {
      event.stopPropagation();
      clearTimeout(timer);
      box.value = read();
      box.blur();
    }
  });
}

/** Is the user in the middle of changing this box, which showed `now`? */
export const isDirty = (/** @type {HTMLInputElement|HTMLTextAreaElement} */ box, /** @type {string} */ now) => document.activeElement === box && box.value.trim() !== now;
