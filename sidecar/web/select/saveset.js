// A set made of the LoRAs that are selected, in the order in which they were; asks for its name.
import { ApiError, listLoras, request } from "../api.js";
import { h } from "../dom.js";
import { count, plural } from "../format.js";
import { library } from "../library.js";
import { popup } from "../popup.js";
import { query } from "../query.js";
import { toast } from "../toast.js";
import { selection } from "./selection.js";

const MOST = 200;

export function openSaveSet(/** @type {HTMLElement} */ anchor) {
  const many = selection.count;
  if (many > MOST) return toast(`A set holds at most ${MOST} LoRAs; ${count(many)} are selected.`, { kind: "error" });
  const box = h("input", { type: "text", maxLength: 100, required: true, placeholder: "Name", "aria-label": "Name", autocomplete: "off", spellcheck: false });
  const note = h("p", { class: "form-note", role: "alert" });
  const button = h("button", { class: "small-button strong", type: "submit" }, "Save");
  const about = h("p", { class: "hint" }, `${plural(many, "LoRA")}, each with its usual weight. In a prompt `, h("code", null, "<set:NAME>"), " stands for all of them.");
  const form = h("form", null, h("h2", null, "Save as set"), box, about, note, h("div", { class: "dialog-actions" }, button));
  const close = popup(anchor, form, { label: "Save as set", className: "form-popup" });
  box.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    note.textContent = "";
    try {
      const loras = (await selectedIds()).map((lora_id) => ({ lora_id, weight: null }));
      const made = await request("POST", "sets", { body: { name: box.value.trim(), loras } });
      close();
      toast(`The set ${made.name} holds ${plural(made.loras.length, "LoRA")}.`, { action: { label: "Open", run: () => query.setPage(`sets/${made.id}`) } });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      note.textContent = error.message;
      button.disabled = false;
      box.focus();
    }
  });
  return undefined;
}

/** @returns {Promise<number[]>} @throws {ApiError} */
async function selectedIds() {
  const chosen = await selection.chosen();
  if ("ids" in chosen && chosen.ids) return chosen.ids;
  const parameters = new URLSearchParams(library.asked.parameters); // everything in the list
  parameters.set("limit", String(MOST));
  const { items } = await listLoras(parameters, new AbortController().signal);
  return items.map(({ id }) => id);
}
