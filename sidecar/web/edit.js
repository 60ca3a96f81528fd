// Editing in place: shown at once, saved behind it, with a visible state, a retry and a way back to the file's value.
import { ApiError, editLora } from "./api.js";
import { h } from "./dom.js";
import { source } from "./format.js";
import { icon } from "./icons.js";
import { library } from "./library.js";

/** @typedef {import("./types.js").Detail} Detail */
/** @typedef {"title"|"weight"|"trigger_words"|"tags"|"notes"} Editable */

/** A titled block of the drawer whose value the user may change. */
export class Field {
  /**
   * @param {string} label
   * @param {Editable} name
   * @param {(detail: Detail) => void} saved gets the sidecar's answer
   */
  constructor(label, name, saved) {
    this.name = name;
    this.saved = saved;
    this.id = 0;
    /** Counts saves, so that an answer to an older one never overwrites a newer value. */
    this.turn = 0;
    this.state = h("span", { class: "save-state", role: "status" });
    this.source = h("span", { class: "source" });
    this.reset = h("button", { class: "quiet reset", type: "button", title: "Back to what the file says", hidden: true }, icon("undo"), "Reset");
    this.reset.addEventListener("click", () => void this.save(null));
    this.head = h("div", { class: "field-head" }, h("h3", null, label), this.source, this.state, this.reset);
    this.body = h("div", { class: "field-body" });
    this.element = h("section", { class: `field field-${name}`, "aria-label": label }, this.head, this.body);
  }

  /** Show where the present value comes from. */
  update(/** @type {Detail} */ detail) {
    if (this.id !== detail.id) this.state.replaceChildren();
    this.id = detail.id;
    const from = detail.sources[this.name];
    this.source.textContent = source(from);
    this.reset.hidden = from !== "user";
  }

  /** Save a new value; null goes back to what the file says. */
  async save(/** @type {unknown} */ value) {
    const { id } = this;
    this.turn += 1;
    const { turn } = this;
    this.state.className = "save-state";
    this.state.textContent = "Saving…";
    if (value !== null) library.patch(id, /** @type {any} */ ({ [this.name]: value }));
    try {
      const detail = await editLora(id, { [this.name]: value });
      library.patch(id, detail);
      if (turn !== this.turn || id !== this.id) return;
      this.state.replaceChildren(icon("check"), "Saved");
      this.state.classList.add("saved");
      this.saved(detail);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn !== this.turn || id !== this.id) return;
      this.state.classList.add("failed");
      this.state.replaceChildren(
        `Not saved: ${error.message} `,
        h("button", { class: "quiet", type: "button", onclick: () => void this.save(value) }, "Retry"),
      );
    }
  }
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

/** Is the user in the middle of changing this box? */
export const isEditing = (/** @type {Element} */ box) => document.activeElement === box;
