// Parts of a set's editor: its texts, into which other sets can be put, and the line of what is done with the set.
import { copy } from "../actions.js";
import { request } from "../api.js";
import { attempt } from "../ask.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { menuButton, openMenu } from "../popup.js";
import { toast } from "../toast.js";
import { duplicate, tagOfSet, useLabel, useSet } from "./actions.js";
import { exportSet } from "./exchange.js";
import { openVersions } from "./versions.js";

/** @typedef {import("../types.js").LoraSet} LoraSet */

/**
 * @param {string} label
 * @param {string} placeholder
 * @param {(() => number|null)|null} own the id of the set itself, where other sets can be put in; null: they cannot
 * @param {(value: string) => void} changed
 */
export function textField(label, placeholder, own, changed) {
  const box = h("textarea", { class: "grows", rows: 2, placeholder, "aria-label": label, maxLength: 100_000 });
  box.addEventListener("input", () => changed(box.value));
  const insert = h("button", { class: "quiet", type: "button", "aria-haspopup": "menu", "aria-expanded": "false", title: "Put the tag of another set in", "aria-label": `Put a set into: ${label}` }, icon("plus"), "A set");
  if (own) insert.addEventListener("click", () => void insertSet(insert, box, own()));
  return { box, element: h("section", { class: "set-section", "aria-label": label }, h("div", { class: "field-head" }, h("h2", null, label), own && insert), box) };
}

/** @param {HTMLElement} anchor @param {HTMLTextAreaElement} box @param {number|null} own */
async function insertSet(anchor, box, own) {
  const answer = await attempt(() => request("GET", "sets?limit=100&sort=name"));
  const others = /** @type {LoraSet[]} */ (answer?.items ?? []).filter(({ id }) => id !== own);
  if (!others.length) return answer && toast("There is no other set yet.");
  return openMenu(anchor, "Sets", others.map((set) => ({ label: set.name, icon: "list", run: () => {
    const { value, selectionStart: at } = box;
    const gap = at > 0 && !/\s$/.test(value.slice(0, at)) ? " " : "";
    box.setRangeText(`${gap}${tagOfSet(set)}`, at, box.selectionEnd, "end");
    box.focus();
    box.dispatchEvent(new Event("input", { bubbles: true }));
  } })));
}

/**
 * @param {LoraSet} base as it is saved
 * @param {{dirty: () => boolean, restored: (set: LoraSet) => void, remove: () => void}} calls
 * @returns {HTMLElement[]}
 */
export function useLine(base, { dirty, restored, remove }) {
  const label = useLabel(base);
  const main = h("button", { class: "small-button", type: "button", title: tagOfSet(base), onclick: () => useSet(base) }, icon(label === "Copy" ? "copy" : label === "Insert" ? "plus" : "minus"), label === "Copy" ? "Copy tag" : label);
  const versions = h("button", { class: "small-button", type: "button", "aria-label": `Version ${base.version}: show all`, onclick: () => openVersions(base, { dirty: dirty(), restored }) }, icon("clock"), `Version ${base.version}`);
  const more = menuButton("More", "more", () => [
    { label: `Copy ${tagOfSet(base)}`, icon: "copy", run: () => void copy(tagOfSet(base)) },
    { label: "Make a copy", icon: "plus", run: () => void duplicate(base) },
    { label: "Export as a file", icon: "download", run: () => void exportSet(base) },
    null,
    { label: "Delete", icon: "trash", danger: true, run: remove },
  ]);
  return [h("code", null, tagOfSet(base)), main, versions, more];
}
