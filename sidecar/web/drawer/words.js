// How a LoRA's words are used in prompts: in groups, of which some are outfits, each with its place. A window of its own.
import { editLora } from "../api.js";
import { attempt, openDialog } from "../ask.js";
import { h } from "../dom.js";
import { titleOf } from "../format.js";
import { icon } from "../icons.js";
import { offerUndo } from "../undo.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {import("../types.js").WordGroup} WordGroup */

const MOST = 100;
const MODES = /** @type {[WordGroup["mode"], string][]} */ ([["always", "Always added"], ["ask", "Only if I choose them"], ["never", "Never added"]]);
const PLACES = /** @type {[WordGroup["place"], string][]} */ ([["end", "At the end"], ["beside", "Beside the tag"], ["start", "At the start"]]);

/**
 * @param {Detail} detail
 * @param {boolean} arranged the user has said something of them
 * @param {(detail: Detail) => void} saved
 */
export function openWordGroups(detail, arranged, saved) {
  const list = h("ol", { class: "group-rows", "aria-label": "Groups" });
  const more = h("button", { class: "small-button", type: "button" }, icon("plus"), "Add a group");
  const back = h("button", { class: "quiet", type: "button", hidden: !arranged }, icon("undo"), "As the trigger words say");
  const cancel = h("button", { class: "small-button", type: "button" }, "Cancel");
  const save = h("button", { class: "small-button strong", type: "submit" }, "Save");
  const about = "Words of a group go into the prompt together, and never twice. Of several outfits only the one that the prompt speaks of is used, else the first that is always added.";
  const form = h("form", { class: "word-groups" }, h("p", { class: "hint" }, about), list, h("div", { class: "group-more" }, more, back), h("div", { class: "dialog-actions" }, cancel, save));
  const dialog = openDialog(`Words of ${titleOf(detail)}`, [form], { wide: true });
  const add = (/** @type {WordGroup} */ group) => {
    const row = groupRow(group);
    list.append(row);
    more.disabled = list.children.length >= MOST;
    return row;
  };
  for (const group of detail.word_groups ?? []) add(group);
  if (!list.children.length) add(empty());
  more.addEventListener("click", () => add(empty()).querySelector("input")?.focus());
  cancel.addEventListener("click", () => dialog.close());
  const send = async (/** @type {WordGroup[]|null} */ word_groups, /** @type {HTMLButtonElement} */ button) => {
    const answer = await attempt(() => editLora(detail.id, { word_groups }), { button, failed: "Not saved" });
    if (!answer) return;
    dialog.close();
    offerUndo(answer, word_groups ? "The words are arranged." : "The words are as the trigger words say.");
    saved(answer);
  };
  back.addEventListener("click", () => void send(null, back));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const groups = [...list.children].map((row) => read(/** @type {HTMLElement} */ (row))).filter(({ words }) => words.length);
    void send(groups, save);
  });
  list.querySelector("textarea")?.focus();
}

/** @returns {WordGroup} */
const empty = () => ({ name: null, words: [], mode: "always", place: "end", negative: false, outfit: false });

function groupRow(/** @type {WordGroup} */ { name, words, mode, place, negative, outfit }) {
  const box = h("input", { name: "name", value: name ?? "", placeholder: "Name, if it has one", "aria-label": "Name", maxLength: 100, autocomplete: "off" });
  const text = h("textarea", { name: "words", class: "grows", rows: 2, placeholder: "Words, one a line", "aria-label": "Words, one a line", spellcheck: false, value: words.join("\n") });
  const choice = (/** @type {string} */ label, /** @type {string} */ key, /** @type {[string, string][]} */ options, /** @type {string} */ now) =>
    h("select", { name: key, "aria-label": label }, ...options.map(([value, shown]) => h("option", { value, selected: value === now }, shown)));
  const check = (/** @type {string} */ key, /** @type {boolean} */ checked, /** @type {string} */ label, /** @type {string} */ title) => h("label", { class: "choice", title }, h("input", { type: "checkbox", name: key, checked }), label);
  const remove = h("button", { class: "icon-button", type: "button", title: "Remove the group", "aria-label": "Remove the group" }, icon("close"));
  const row = h(
    "li",
    { class: "group-row" },
    h("div", { class: "group-line" }, box, remove),
    text,
    h("div", { class: "group-how" }, choice("When", "mode", MODES, mode), choice("Where", "place", PLACES, place), check("outfit", outfit, "Outfit", "One of several that exclude each other"), check("negative", negative, "Negative prompt", "Its words belong into the negative prompt")),
  );
  remove.addEventListener("click", () => {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    next?.querySelector("textarea")?.focus();
  });
  return row;
}

/** @returns {WordGroup} */
function read(/** @type {HTMLElement} */ row) {
  const value = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (row.querySelector(`[name="${name}"]`));
  const words = value("words").value.split("\n").map((word) => word.trim().replace(/,$/, "")).filter(Boolean);
  return {
    name: value("name").value.trim() || null,
    words: [...new Set(words)],
    mode: /** @type {WordGroup["mode"]} */ (value("mode").value),
    place: /** @type {WordGroup["place"]} */ (value("place").value),
    negative: value("negative").checked,
    outfit: value("outfit").checked,
  };
}
