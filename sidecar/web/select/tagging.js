// Tags of everything that is selected: some to add, some to take away, done as one change.
import { ApiError, request } from "../api.js";
import { Combo } from "../combo.js";
import { h } from "../dom.js";
import { count } from "../format.js";
import { icon } from "../icons.js";
import { popup } from "../popup.js";
import { changeSelected } from "./bulk.js";
import { selection } from "./selection.js";

/** @typedef {import("../types.js").Tag} Tag */

const SHOWN = 60;

/** Completion of one tag, for any box. @param {HTMLInputElement} box @param {(name: string) => void} choose */
export function completeTag(box, choose) {
  return new Combo(box, {
    label: "Tags",
    ask: async (text) => {
      const wanted = text.trim();
      try {
        const { items } = await request("GET", `tags?${new URLSearchParams({ q: wanted, limit: "12" })}`);
        return /** @type {Tag[]} */ (items).filter(({ name }) => name !== wanted);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        return [];
      }
    },
    draw: (/** @type {Tag} */ tag) => [
      h("span", { class: `swatch ${tag.color ?? "none"}` }),
      h("span", { class: "suggest-text" }, tag.name),
      h("span", { class: "suggest-hint" }, count(tag.count)),
    ],
    choose: ({ name }) => choose(name),
  });
}

/** Tags on those of the selected LoRAs that are loaded, most frequent first. */
function presentTags() {
  /** @type {Map<string, number>} */
  const counts = new Map();
  const { loaded } = selection;
  for (const { tags } of loaded) for (const tag of tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return { of: loaded.length, tags: [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, SHOWN) };
}

export function openTagging(/** @type {HTMLElement} */ anchor) {
  /** @type {Set<string>} */
  const added = new Set();
  /** @type {Set<string>} */
  const removed = new Set();
  const box = h("input", { type: "text", placeholder: "Add a tag", "aria-label": "Add a tag", maxLength: 200, autocomplete: "off", spellcheck: false });
  const fresh = h("div", { class: "tag-list" });
  const present = h("div", { class: "tag-list" });
  const apply = h("button", { class: "small-button strong", type: "submit" }, "Apply");
  const { of, tags } = presentTags();
  const draw = () => {
    const chips = [...added].map((tag) =>
      h("span", { class: "tag added" }, h("span", null, tag), h("button", { type: "button", "aria-label": `Do not add ${tag}`, onclick: () => (added.delete(tag), draw()) }, icon("close"))),
    );
    fresh.replaceChildren(...chips);
    const buttons = tags.map(([tag, many]) => {
      const gone = removed.has(tag);
      const label = gone ? `Keep ${tag}` : `Take ${tag} away`;
      const button = h("button", { type: "button", title: label, "aria-label": label, onclick: () => ((gone ? removed.delete(tag) : removed.add(tag)), draw()) }, icon(gone ? "undo" : "close"));
      return h("span", { class: gone ? "tag removed" : "tag" }, h("span", null, tag), many < of ? h("span", { class: "number" }, count(many)) : null, button);
    });
    present.replaceChildren(...buttons);
    apply.disabled = added.size + removed.size === 0;
    apply.textContent = `Apply to ${count(selection.count)}`;
  };
  const take = (/** @type {string} */ text) => {
    for (const tag of text.split(",")) {
      const name = tag.trim();
      if (!name) continue;
      added.add(name);
      removed.delete(name);
    }
    box.value = "";
    draw();
  };
  const form = h(
    "form",
    { class: "tagging" },
    h("h2", null, "Tags"),
    box,
    fresh,
    tags.length ? h("h3", null, of < selection.count ? "On those in view" : "On them now") : null,
    present,
    h("div", { class: "dialog-actions" }, apply),
  );
  draw();
  const close = popup(anchor, form, { label: "Tags of the selected LoRAs", className: "form-popup tagging-popup" });
  completeTag(box, take);
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== ",") return;
    if (event.key === "Enter" && !box.value.trim()) return; // applies
    event.preventDefault();
    take(box.value);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    take(box.value);
    const change = { add_tags: [...added], remove_tags: [...removed] };
    close();
    void changeSelected(change, (what) => {
      const parts = [added.size ? `${[...added].join(", ")} added to` : "", removed.size ? `${[...removed].join(", ")} taken from` : ""].filter(Boolean);
      return `${parts.join(", ")} ${what}`;
    });
  });
  box.focus();
}
