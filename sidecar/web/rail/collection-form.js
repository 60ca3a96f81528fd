// The small form that makes or changes a collection: its name and its colour.
import { ApiError } from "../api.js";
import { h } from "../dom.js";
import { LABELS } from "../drawer/marks.js";
import { popup } from "../popup.js";

/**
 * @param {HTMLElement} anchor
 * @param {object} options
 * @param {string} options.title
 * @param {string} options.action on the button
 * @param {string} [options.name]
 * @param {string|null} [options.color]
 * @param {string} [options.query] shown as what is saved
 * @param {(values: {name: string, color: string|null}) => Promise<unknown>} options.submit its ApiError is shown in the form
 */
export function openCollectionForm(anchor, { title, action, name = "", color = null, query, submit }) {
  const box = h("input", { type: "text", value: name, maxLength: 200, required: true, placeholder: "Name", "aria-label": "Name", autocomplete: "off" });
  const note = h("p", { class: "form-note", role: "alert" });
  const button = h("button", { class: "small-button strong", type: "submit" }, action);
  const swatches = [null, ...LABELS].map((value) => {
    const one = h("button", { type: "button", class: "swatch-button", role: "radio", "aria-checked": String(value === color), "aria-label": value ?? "No colour", title: value ?? "No colour" }, h("span", { class: `swatch ${value ?? "none"}` }));
    one.addEventListener("click", () => {
      color = value;
      for (const other of swatches) other.setAttribute("aria-checked", String(other === one));
    });
    return one;
  });
  const form = h(
    "form",
    { class: "collection-form" },
    h("h2", null, title),
    query ? h("code", { class: "saved-query" }, query) : null,
    box,
    h("div", { class: "swatches", role: "radiogroup", "aria-label": "Colour" }, ...swatches),
    note,
    h("div", { class: "dialog-actions" }, button),
  );
  const close = popup(anchor, form, { label: title, className: "form-popup" });
  box.focus();
  box.select();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    note.textContent = "";
    try {
      await submit({ name: box.value.trim(), color });
      close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      note.textContent = error.message;
      button.disabled = false;
      box.focus();
    }
  });
}
