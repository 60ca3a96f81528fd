// One set being edited. Nothing is saved before the user says so; changes that are left behind are kept until then.
import { ApiError, request } from "../api.js";
import { attempt } from "../ask.js";
import { bridge } from "../bridge.js";
import { find, h, throttle } from "../dom.js";
import { live } from "../events.js";
import { icon } from "../icons.js";
import { library } from "../library.js";
import { nothing, trouble } from "../pages/parts.js";
import { preferences } from "../preferences.js";
import { query } from "../query.js";
import { toast } from "../toast.js";
import { NAME_LENGTH, NAME_PATTERN, contentOf, copyOf, deleteSet, emptySet, same } from "./actions.js";
import { Clash } from "./clash.js";
import { Members } from "./members.js";
import { OwnPicture } from "./own-picture.js";
import { missingIn } from "./picture.js";
import { textField, useLine } from "./editor-parts.js";

/** @typedef {import("../types.js").LoraSet} LoraSet */
/** @typedef {import("../types.js").SetContent} SetContent */

/** Changes that were left behind, by the id of their set; null: of a new one. @type {Map<number|null, {base: LoraSet|null, draft: SetContent}>} */
const drafts = new Map();

/** Were changes of this set left behind? */
export const hasDraft = (/** @type {number|null} */ id) => drafts.has(id);

export class Editor {
  /**
   * @param {HTMLElement} container
   * @param {number|null} id null: a new set
   * @param {AbortSignal} signal the page is left
   */
  constructor(container, id, signal) {
    this.container = container;
    this.id = id;
    this.signal = signal;
    /** @type {LoraSet|null} as the sidecar has it, as far as is known here */
    this.base = null;
    this.draft = emptySet();
    this.saving = false;
  }

  get dirty() {
    return Boolean(this.name) && (!same(this.draft, this.base ?? emptySet()) || Boolean(this.picture?.waiting));
  }

  /** @returns {Promise<void>} */
  async open() {
    const { container, id } = this;
    try {
      const set = id === null ? null : await request("GET", `sets/${id}`);
      if (this.signal.aborted) return;
      if (set?.deleted) return this.#showDeleted(set);
      this.#draw();
      const kept = drafts.get(id);
      drafts.delete(id);
      this.base = kept ? kept.base : set;
      this.#show(kept?.draft ?? copyOf(set ?? emptySet()));
      if (set && kept?.base && kept.base.version !== set.version) this.clash?.show(kept.base, set);
      if (id === null) this.name?.focus();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404 || error.status === 422) container.replaceChildren(nothing("gone", "There is no such set", [h("a", { class: "outside", href: "#page=sets" }, "All sets")]));
      else container.replaceChildren(trouble(error.message, () => (container.replaceChildren(), void this.open())));
    }
  }

  /** The page is left: what is not saved is kept, and told. */
  leave() {
    if (!this.dirty) return;
    drafts.set(this.id, { base: this.base, draft: this.draft });
    const page = `sets/${this.id ?? "new"}`;
    toast(`${this.draft.name || "The new set"} is not saved; your changes are kept here.`, { action: { label: "Go back", run: () => query.setPage(page) } });
  }

  #showDeleted(/** @type {LoraSet} */ set) {
    const back = h("button", { class: "small-button strong", type: "button" }, icon("undo"), "Bring it back");
    back.addEventListener("click", async () => {
      if (await attempt(() => request("POST", `sets/${set.id}/restore`, { body: {} }), { button: back, failed: "Not brought back" })) await (this.container.replaceChildren(), this.open());
    });
    const box = nothing("trash", `${set.name} was deleted`, ["Its versions are kept."]);
    box.append(back);
    this.container.replaceChildren(box);
  }

  #draw() {
    const { signal } = this;
    this.state = h("span", { class: "save-state", role: "status" });
    this.discard = h("button", { class: "small-button", type: "button", hidden: true }, "Discard");
    this.saveButton = h("button", { class: "small-button strong", type: "button", title: "Save (Ctrl+S)" }, "Save");
    this.discard.addEventListener("click", () => this.#discard());
    this.saveButton.addEventListener("click", () => void this.save());
    find("#page-tools").append(this.state, this.discard, this.saveButton);

    this.name = h("input", { class: "title-box set-name", placeholder: "Name of the set", "aria-label": "Name", maxLength: NAME_LENGTH, pattern: NAME_PATTERN, required: true, autocomplete: "off", spellcheck: false });
    this.nameNote = h("p", { class: "form-note", role: "alert", id: "set-name-note" });
    this.name.setAttribute("aria-describedby", "set-name-note");
    this.warning = h("div", { class: "problem missing", role: "status", hidden: true });
    this.clash = new Clash({ load: (set) => this.take(set), overwrite: (set) => ((this.base = set), void this.save()) });
    this.members = new Members(() => this.#changed(), () => this.draft.prompt);
    const text = (/** @type {"prompt"|"negative_prompt"|"notes"} */ name, /** @type {string} */ label, /** @type {string} */ placeholder, /** @type {boolean} */ sets) =>
      textField(label, placeholder, sets ? () => this.id : null, (value) => {
        this.draft[name] = value;
        this.#changed();
      });
    this.prompt = text("prompt", "Prompt", "Words of the prompt. It may hold tags, and other sets: <set:NAME>", true);
    this.negative = text("negative_prompt", "Negative prompt", "Goes into the negative prompt wherever the set is used", true);
    this.notes = text("notes", "Notes", "Anything worth remembering", false);
    this.picture = new OwnPicture(signal, (set) => this.#pictured(set));
    this.baseBox = h("input", { "aria-label": "Base model", maxLength: 100, autocomplete: "off", spellcheck: false });
    const known = h("datalist", { id: "set-base-models" });
    this.baseBox.setAttribute("list", known.id);
    this.baseBox.addEventListener("focus", () => known.replaceChildren(...(library.facets?.base_model ?? []).map(({ value }) => h("option", { value }))));
    this.use = h("div", { class: "set-use-line" });

    this.name.addEventListener("input", () => {
      this.draft.name = this.name?.value ?? "";
      this.#refuse(this.name?.validity.patternMismatch ? "A set's name goes into <set:NAME>, so it can hold none of : < > =" : "");
      this.#changed();
    });
    this.baseBox.addEventListener("input", () => {
      this.draft.base_model = this.baseBox?.value.trim() || null;
      this.members?.showBase(this.#baseModel());
      this.#changed();
    });
    const back = h("a", { class: "set-back quiet", href: "#page=sets" }, icon("left"), "All sets");
    const side = h("div", { class: "set-side" }, this.picture.element, h("section", { class: "set-section" }, h("div", { class: "field-head" }, h("h2", null, "Base model")), this.baseBox, known), this.notes.element);
    const main = h("div", { class: "set-main" }, this.members.element, this.prompt.element, this.negative.element);
    this.container.replaceChildren(h("div", { class: "set-editor" }, h("div", { class: "set-head" }, back, this.name, this.nameNote, this.use, this.clash.element, this.warning), main, side));

    const again = throttle(() => void this.#reread(), 400);
    live.addEventListener("sets.changed", (event) => /** @type {CustomEvent} */ (event).detail?.id === this.base?.id && again(), { signal });
    for (const type of ["library.changed", "reset"]) live.addEventListener(type, again, { signal });
    for (const type of ["host", "prompt"]) bridge.addEventListener(type, () => this.#drawUse(), { signal });
    preferences.addEventListener("change", () => this.picture?.show(this.base, this.draft), { signal });
    window.addEventListener("beforeunload", (event) => this.dirty && event.preventDefault(), { signal });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "s" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
      event.preventDefault();
      void this.save();
    }, { signal });
  }

  /** Show what the set says from now on. */
  #show(/** @type {SetContent} */ draft) {
    this.draft = draft;
    const { name, prompt, negative, notes, baseBox } = this;
    if (!name || !prompt || !negative || !notes || !baseBox) return;
    name.value = draft.name;
    prompt.box.value = draft.prompt;
    negative.box.value = draft.negative_prompt;
    notes.box.value = draft.notes;
    baseBox.value = draft.base_model ?? "";
    baseBox.placeholder = this.base?.detected_base_model ? `${this.base.detected_base_model}, as its LoRAs` : "As its LoRAs";
    this.#refuse("");
    this.members?.show(draft.loras);
    this.members?.showBase(this.#baseModel());
    this.#drawUse();
    this.#changed();
  }

  /** Show the set as it is now, and forget what was changed here. */
  take(/** @type {LoraSet} */ set) {
    this.base = set;
    this.clash?.hide();
    this.#show(copyOf(set));
  }

  #baseModel() {
    if (this.draft.base_model) return this.draft.base_model;
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { base_model: base, state } of this.draft.loras) if (state === "ok" && base !== "Unknown") counts.set(base, (counts.get(base) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
  }

  /** Something in the draft is another now. */
  #changed() {
    const { dirty, discard, saveButton, state, warning } = this;
    if (!discard || !saveButton || !state || !warning) return;
    this.draft.loras = this.members?.members ?? this.draft.loras;
    discard.hidden = !dirty;
    saveButton.disabled = this.saving || (!dirty && this.id !== null);
    if (dirty) state.replaceChildren();
    const missing = missingIn(this.draft);
    warning.hidden = missing.length === 0;
    const text = `${missing.length === 1 ? "A LoRA of this set is" : `${missing.length} LoRAs of this set are`} not in your library, and will be left out: `;
    warning.replaceChildren(icon("warn"), h("p", null, text, h("strong", null, missing.map(({ name }) => name).join(", "))));
    this.members?.showBase(this.#baseModel());
    this.picture?.show(this.base, this.draft);
  }

  #refuse(/** @type {string} */ message) {
    if (this.nameNote) this.nameNote.textContent = message;
    this.name?.setAttribute("aria-invalid", String(Boolean(message)));
  }

  #discard() {
    drafts.delete(this.id);
    if (this.picture) this.picture.waiting = null;
    this.clash?.hide();
    this.#show(copyOf(this.base ?? emptySet()));
    void this.#reread();
  }

  #pictured(/** @type {LoraSet|null} */ set) {
    if (set && this.base) Object.assign(this.base, { preview: set.preview, preview_stamp: set.preview_stamp });
    this.#changed();
  }

  #drawUse() {
    const { base, use } = this;
    if (!use) return;
    use.hidden = !base;
    if (base) use.replaceChildren(...useLine(base, { dirty: () => this.dirty, restored: (set) => this.take(set), remove: () => void this.#delete() }));
  }

  async #delete() {
    const { base } = this;
    if (!base || !(await deleteSet(base))) return;
    this.base = null;
    this.draft = emptySet();
    drafts.delete(this.id);
    query.setPage("sets");
  }

  /** Save the whole set as its next version. */
  async save() {
    const { name, state } = this;
    if (this.saving || !name || !state || (!this.dirty && this.id !== null)) return;
    if (!name.value.trim()) this.#refuse("Give the set a name.");
    if (this.nameNote?.textContent) return name.focus();
    const sent = copyOf(this.draft);
    const { base } = this;
    this.saving = true;
    state.className = "save-state";
    state.textContent = "Saving…";
    try {
      /** @type {LoraSet|null} */
      let set = base;
      if (!base) set = await request("POST", "sets", { body: contentOf(sent) });
      else if (!same(sent, base)) set = await request("PUT", `sets/${base.id}`, { body: { ...contentOf(sent), version: base.version } });
      if (this.picture && set) set = await this.picture.flush(set);
      if (set) this.#saved(set, sent);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      state.replaceChildren();
      await this.#refused(error);
    } finally {
      this.saving = false;
      this.#changed();
    }
  }

  /** @param {LoraSet} set as it is now @param {SetContent} sent */
  #saved(set, sent) {
    const fresh = this.id === null;
    this.base = set;
    this.id = set.id;
    this.clash?.hide();
    if (!same(set, sent) && same(this.draft, sent)) this.#show(copyOf(set)); // spaces cut off, a LoRA found by its name
    this.#drawUse();
    this.state?.classList.add("saved");
    this.state?.replaceChildren(icon("check"), `Saved as version ${set.version}`);
    if (!fresh || this.signal.aborted) return;
    drafts.delete(null);
    query.page = `sets/${set.id}`; // the same editor, now of a set that has an address
    history.replaceState(null, "", query.address());
  }

  async #refused(/** @type {ApiError} */ error) {
    const { base } = this;
    if (base && error.status === 404) return this.clash?.showDeleted(base, error.message);
    if (base && error.status === 409 && !error.detail?.id) {
      const now = await attempt(() => request("GET", `sets/${base.id}`));
      return now && this.clash?.show(base, now);
    }
    if (error.status === 409 || /name/i.test(error.message)) {
      this.#refuse(error.message);
      return this.name?.focus();
    }
    return toast(`Not saved: ${error.message}`, { kind: "error" });
  }

  /** Somebody may have saved the set, or a LoRA of it came or went. */
  async #reread() {
    const { base } = this;
    if (!base || this.saving || this.signal.aborted) return;
    const now = await request("GET", `sets/${base.id}`).catch((error) => (error instanceof ApiError ? null : Promise.reject(error)));
    if (!now || this.signal.aborted || this.saving || base !== this.base) return;
    if (now.deleted) return this.clash?.showDeleted(base, "Meanwhile this set was deleted.");
    if (now.version !== base.version && this.dirty) return this.clash?.show(base, now);
    this.#pictured(now);
    const [before, after] = [base, now].map(({ loras, version, name }) => JSON.stringify([loras, version, name]));
    if (before !== after && !this.dirty) this.take(now);
    return undefined;
  }
}
