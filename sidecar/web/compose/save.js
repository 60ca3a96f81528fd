// Saves the prompt as a set: a new one, or over one that has the name already.
import { ApiError, request } from "../api.js";
import { h } from "../dom.js";
import { plural } from "../format.js";
import { popup } from "../popup.js";
import { query } from "../query.js";
import { NAME_LENGTH, NAME_PATTERN, contentOf } from "../sets/actions.js";
import { toast } from "../toast.js";
import { draft } from "./draft.js";

/** @typedef {import("../types.js").LoraSet} LoraSet */

export function openSave(/** @type {HTMLElement} */ anchor) {
  const box = h("input", { type: "text", maxLength: NAME_LENGTH, pattern: NAME_PATTERN, required: true, placeholder: "Name", "aria-label": "Name", autocomplete: "off", spellcheck: false });
  const note = h("p", { class: "form-note", role: "alert" });
  const button = h("button", { class: "small-button strong", type: "submit" }, "Save");
  const about = h("p", { class: "hint" }, "Its LoRAs with their weights, and both texts. In a prompt ", h("code", null, "<set:NAME>"), " stands for all of it.");
  const form = h("form", null, h("h2", null, "Save as set"), box, about, note, h("div", { class: "dialog-actions" }, button));
  const close = popup(anchor, form, { label: "Save as set", className: "form-popup" });
  /** The set that has the name, once the user was told of it. @type {{id: number, version: number, name: string}|null} */
  let over = null;
  box.addEventListener("input", () => {
    over = null;
    note.textContent = "";
    button.textContent = "Save";
  });
  box.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    const name = box.value.trim();
    try {
      const set = over?.name === name ? await replace(over) : await request("POST", "sets", { body: { ...(await contentNow()), name } });
      close();
      toast(`The set ${set.name} holds ${plural(set.loras.length, "LoRA")}${over ? ` and is version ${set.version} now` : ""}.`, { action: { label: "Open", run: () => query.setPage(`sets/${set.id}`) } });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const taken = error.status === 409 && error.detail?.id;
      over = taken ? { id: error.detail.id, version: error.detail.version, name } : null;
      note.textContent = taken ? `There is a set ${name} already. Saving over it keeps the old one among its versions.` : error.message;
      button.textContent = taken ? "Save over it" : "Save";
      button.disabled = false;
    }
  });
}

/** What a set made of the prompt would hold. @throws {ApiError} */
async function contentNow() {
  const { prompt, negative_prompt } = draft.state;
  return contentOf(await request("POST", "sets/draft", { body: { prompt, negative_prompt } }));
}

/** Notes and the base model that the user gave stay. @returns {Promise<LoraSet>} @throws {ApiError} */
async function replace(/** @type {{id: number, version: number, name: string}} */ { id, version }) {
  /** @type {LoraSet} */
  const before = await request("GET", `sets/${id}`);
  const { notes, base_model, name } = before;
  return request("PUT", `sets/${id}`, { body: { ...(await contentNow()), notes, base_model, name, version } });
}
