// Asks for the new name of a tag, or the one name of several; says beforehand when that merges.
import { ApiError, request } from "../api.js";
import { debounce, h } from "../dom.js";
import { plural } from "../format.js";
import { popup } from "../popup.js";
import { completeTag } from "../select/tagging.js";

/** @typedef {import("../types.js").Tag} Tag */

/**
 * @param {HTMLElement} anchor
 * @param {Tag[]} tags
 * @param {(to: string) => Promise<void>} submit its ApiError is shown in the form
 */
export function askName(anchor, tags, submit) {
  const most = [...tags].sort((a, b) => b.count - a.count)[0];
  const title = tags.length > 1 ? `Merge ${plural(tags.length, "tag")} into` : "New name";
  const box = h("input", { type: "text", value: most?.name ?? "", maxLength: 200, required: true, spellcheck: false, "aria-label": title });
  const hint = h("p", { class: "hint", role: "status" }, HINT);
  const note = h("p", { class: "form-note", role: "alert" });
  const go = h("button", { class: "small-button strong", type: "submit" }, tags.length > 1 ? "Merge" : "Rename");
  const form = h("form", null, h("h2", null, title), box, hint, note, h("div", { class: "dialog-actions" }, go));
  const close = popup(anchor, form, { label: title, className: "form-popup" });
  const look = debounce(() => void foresee(box.value, tags, hint, go), 120);
  completeTag(box, (name) => {
    box.value = name;
    look();
  });
  box.addEventListener("input", look);
  box.focus();
  box.select();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    note.textContent = "";
    try {
      await submit(box.value.trim());
      close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      note.textContent = error.message;
      go.disabled = false;
    }
  });
}

const HINT = "A slash makes a level: style/ink lies below style. Tags below go along.";

/** Say whether the name exists: then tags become one. @param {string} text @param {Tag[]} tags @param {HTMLElement} hint @param {HTMLElement} go */
async function foresee(text, tags, hint, go) {
  const wanted = text.trim().toLowerCase();
  let there;
  try {
    const { items } = await request("GET", `tags?${new URLSearchParams({ q: wanted, limit: "50" })}`);
    there = /** @type {Tag[]} */ (items).find(({ name }) => name.toLowerCase() === wanted);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // it is said when it is tried
  }
  const merges = there && !tags.some(({ name }) => name.toLowerCase() === wanted);
  hint.textContent = merges ? `${there?.name} exists: they become one, ${plural(there?.count ?? 0, "LoRA")} have it already.` : HINT;
  go.textContent = merges || tags.length > 1 ? "Merge" : "Rename";
}
