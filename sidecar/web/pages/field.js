// The frame of a setting on the page of settings: saved as soon as it is changed; says so, and says at its place why when not.
import { ApiError, request } from "../api.js";
import { add, h } from "../dom.js";
import { icon } from "../icons.js";
import { preferences } from "../preferences.js";

/** @typedef {import("../types.js").Preferences} Preferences */
/** @typedef {import("../dom.js").Child} Child */
/** @typedef {{element: HTMLElement, show: (values: Preferences) => void}} Setting */

/**
 * The frame of a setting: its label, its control, what it is for, and what became of the last change.
 * @param {string} name in the API
 * @param {string} label
 * @param {HTMLElement} control
 * @param {Child[]} about
 */
export function frame(name, label, control, about) {
  const state = h("span", { class: "save-state", role: "status" });
  const problem = h("p", { class: "form-note", role: "alert", id: `problem-${name}` });
  const text = h("p", { class: "hint", id: `about-${name}` });
  add(text, about);
  const box = control.matches("input, select") ? control : control.querySelector("input, select");
  box?.setAttribute("aria-describedby", `about-${name} problem-${name}`);
  if (box && !box.id) box.id = `setting-${name}`;
  const head = h("div", { class: "field-head" }, control.getAttribute("role") === "radiogroup" ? h("h3", null, label) : h("label", { for: box?.id ?? "" }, label), state);
  const element = h("div", { class: `setting setting-${name}` }, head, control, problem, text);
  let turn = 0;
  /** Say at the field what is wrong with its value; nothing when it is right. */
  const refuse = (/** @type {string} */ message) => {
    problem.textContent = message;
    state.replaceChildren();
    if (message) box?.setAttribute("aria-invalid", "true");
    else box?.removeAttribute("aria-invalid");
  };
  /** @returns {Promise<boolean>} */
  const save = async (/** @type {unknown} */ value) => {
    turn += 1;
    const mine = turn;
    state.className = "save-state";
    state.textContent = "Saving…";
    try {
      const values = await request("PATCH", "settings", { body: { [name]: value } });
      if (mine !== turn) return true;
      refuse("");
      state.classList.add("saved");
      state.replaceChildren(icon("check"), "Saved");
      preferences.take(values);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (mine !== turn) return false;
      state.replaceChildren();
      refuse(error.message);
      return false;
    }
  };
  return { element, save, refuse };
}

/** Put a value into a box, unless the user is typing in it or it holds what was refused. */
export function put(/** @type {HTMLInputElement|HTMLSelectElement} */ box, /** @type {string} */ value) {
  if (document.activeElement !== box && box.getAttribute("aria-invalid") !== "true") box.value = value;
}
