// The parts of the drawer that are edited as text: title, weight, base model, negative prompt and notes.
import { bridge } from "../bridge.js";
import { h } from "../dom.js";
import { hue, weight as shown } from "../format.js";
import { icon } from "../icons.js";
import { library } from "../library.js";
import { Field, isDirty, savesText } from "./edit.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {{element: HTMLElement, update: (detail: Detail) => void}} Part */
/** @typedef {(detail: Detail) => void} Saved */

/** @returns {Part & {box: HTMLInputElement}} */
export function titleField(/** @type {Saved} */ saved) {
  const field = new Field("Title", "title", saved);
  const box = h("input", { class: "title-box", "aria-label": "Title", maxLength: 300, autocomplete: "off", spellcheck: false });
  let now = "";
  let stem = "";
  savesText(box, { read: () => now, save: (text) => ((now = text || stem), (box.value = now), void field.save(text || null)) });
  field.body.append(box);
  return {
    box,
    element: field.element,
    update(detail) {
      if (!field.update(detail, isDirty(box, now))) return;
      stem = detail.name;
      now = detail.title || detail.name;
      box.value = now;
    },
  };
}

/** @returns {Part} */
export function weightField(/** @type {Saved} */ saved) {
  const field = new Field("Weight", "weight", saved);
  const box = h("input", { class: "weight-box", type: "number", step: 0.05, min: -10, max: 10, placeholder: "1", "aria-label": "Preferred weight", title: "The weight that goes into the prompt" });
  let now = "";
  savesText(box, {
    read: () => now,
    save: (text) => {
      if (!box.validity.valid && box.validity.badInput) return;
      now = text;
      void field.save(text === "" ? null : Number(text));
    },
    pause: 600,
  });
  field.body.append(box);
  return {
    element: field.element,
    update(detail) {
      if (!field.update(detail, isDirty(box, now))) return;
      now = detail.weight === null ? "" : shown(detail.weight);
      box.value = now;
    },
  };
}

/** The base model: what was detected, and why, or what the user says it is. @returns {Part} */
export function baseField(/** @type {Saved} */ saved) {
  const field = new Field("Base model", "base_model", saved);
  const known = h("datalist", { id: "known-base-models" });
  const box = h("input", { class: "base-box", "aria-label": "Base model", maxLength: 100, autocomplete: "off", spellcheck: false });
  box.setAttribute("list", known.id);
  const dot = h("span", { class: "dot" });
  const reason = h("span", { class: "hint base-reason" });
  let now = "";
  savesText(box, { read: () => now, save: (text) => ((now = text || now), void field.save(text || null)) });
  box.addEventListener("focus", () => {
    const values = (library.facets?.base_model ?? []).map(({ value }) => h("option", { value }));
    known.replaceChildren(...values);
    box.select();
  });
  field.body.append(h("div", { class: "base-row" }, dot, box, reason), known);
  return {
    element: field.element,
    update(detail) {
      if (!field.update(detail, isDirty(box, now))) return;
      now = detail.base_model;
      box.value = now;
      const degrees = hue(detail.base_model);
      dot.classList.toggle("grey", degrees < 0);
      dot.style.setProperty("--hue", String(Math.max(0, degrees)));
      reason.textContent = detail.sources["base_model"] ? "" : (detail.base_model_reason ?? "");
      reason.title = reason.textContent;
    },
  };
}

/** Several lines of text. @returns {Part} */
function textField(/** @type {Field} */ field, /** @type {"notes"|"negative_prompt"} */ name, /** @type {string} */ placeholder) {
  const box = h("textarea", { class: "grows", rows: 1, "aria-label": field.label, placeholder });
  let now = "";
  savesText(box, { read: () => now, save: (text) => ((now = text), void field.save(text)), pause: 1000 });
  field.body.append(box);
  return {
    element: field.element,
    update(detail) {
      if (!field.update(detail, isDirty(box, now))) return;
      now = (detail[name] ?? "").trim();
      if (box.value !== now) box.value = now;
    },
  };
}

/** @returns {Part} */
export function notesField(/** @type {Saved} */ saved) {
  const both = (/** @type {string} */ theirs, /** @type {string} */ mine) => [theirs, mine].filter(Boolean).join("\n\n");
  return textField(new Field("Notes", "notes", saved, { both }), "notes", "Anything worth remembering");
}

/** What should stand in the negative prompt with this LoRA. @returns {Part} */
export function negativeField(/** @type {Saved} */ saved) {
  const both = (/** @type {string} */ theirs, /** @type {string} */ mine) => [theirs, mine].filter(Boolean).join(", ");
  const field = new Field("Negative prompt", "negative_prompt", saved, { both });
  const use = h("button", { class: "quiet", type: "button", hidden: true }, icon("plus"), "Add");
  use.title = "Add to the host's negative prompt";
  const part = textField(field, "negative_prompt", "Words that should not show with this LoRA");
  let words = "";
  const draw = () => (use.hidden = !bridge.host || !words);
  use.addEventListener("click", () => bridge.appendNegative(words));
  bridge.on("host", draw);
  field.head.append(use);
  return {
    element: part.element,
    update(detail) {
      part.update(detail);
      words = (detail.negative_prompt ?? "").trim();
      draw();
    },
  };
}
