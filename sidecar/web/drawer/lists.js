// The fields of the drawer that are lists: trigger words and tags.
import { useWords } from "../actions.js";
import { bridge } from "../bridge.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { library } from "../library.js";
import { Field, isDirty, savesText } from "./edit.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {import("./fields.js").Part} Part */
/** @typedef {import("./fields.js").Saved} Saved */

/** Both lists as one, each word once. */
const joined = (/** @type {string[]} */ theirs, /** @type {string[]} */ mine) => [
  ...theirs,
  ...mine.filter((word) => !theirs.some((one) => one.toLowerCase() === word.toLowerCase())),
];

/** A short word on groups that the user arranged; "" for what the trigger words say by themselves. */
function groupsHint(/** @type {Detail} */ { word_groups, values }) {
  if (!word_groups || !values?.["word_groups"]?.some(({ source }) => source === "user")) return "";
  return `Arranged by you: ${word_groups.map(nameOf).join(" · ")}`;
}

const nameOf = (/** @type {import("../types.js").WordGroup} */ { name, negative, words }) => name || (negative ? "negative" : (words[0] ?? "empty"));

/** @returns {Part} */
export function wordsField(/** @type {Saved} */ saved) {
  const field = new Field("Trigger words", "trigger_words", saved, { both: joined });
  const list = h("div", { class: "words" });
  const box = h("textarea", { class: "grows", rows: 2, "aria-label": "Trigger words, one a line", placeholder: "One trigger word or phrase a line" });
  const edit = h("button", { class: "quiet", type: "button", "aria-label": "Edit trigger words" }, icon("edit"), "Edit");
  const arrange = h("button", { class: "quiet", type: "button", title: "Groups, outfits, and where their words go", "aria-label": "Arrange trigger words" }, icon("list"), "Arrange");
  const arranged = h("p", { class: "hint words-arranged", hidden: true });
  /** @type {Detail|null} */
  let shown = null;
  arrange.addEventListener("click", async () => {
    const { openWordGroups } = await import("./words.js");
    if (shown) openWordGroups(shown, !arranged.hidden, saved);
  });
  /** @type {string[]} */
  let now = [];
  const draw = () => {
    const buttons = now.map((words) => {
      const there = Boolean(bridge.host) && bridge.says(words);
      const label = bridge.host ? (there ? "Take out of the prompt" : "Add to the prompt") : "Copy";
      const button = h("button", { class: there ? "word on" : "word", type: "button", title: label, onclick: () => useWords(words) });
      button.append(icon(bridge.host ? (there ? "check" : "plus") : "copy"), words);
      return button;
    });
    list.replaceChildren(...buttons);
    if (!now.length) list.append(h("span", { class: "hint" }, "None known."));
  };
  const close = () => {
    box.hidden = true;
    list.hidden = edit.hidden = false;
  };
  savesText(box, {
    read: () => now.join("\n"),
    save: (text) => {
      now = text.split("\n").map((line) => line.trim()).filter(Boolean);
      draw();
      void field.save(now);
    },
  });
  box.addEventListener("blur", close);
  edit.addEventListener("click", () => {
    box.value = now.join("\n");
    box.hidden = false;
    list.hidden = edit.hidden = true;
    box.focus();
  });
  box.addEventListener("keydown", (event) => event.key === "Enter" && event.ctrlKey && box.blur());
  bridge.on("prompt", draw);
  bridge.on("host", draw);
  field.head.append(arrange, edit);
  field.body.append(list, box, arranged);
  box.hidden = true;
  return {
    element: field.element,
    update(detail) {
      shown = detail;
      arranged.textContent = groupsHint(detail);
      arranged.hidden = !arranged.textContent;
      if (!field.update(detail, isDirty(box, now.join("\n")))) return;
      now = [...detail.trigger_words];
      if (!box.hidden) box.value = now.join("\n");
      draw();
    },
  };
}

/** @returns {Part} */
export function tagsField(/** @type {Saved} */ saved) {
  const field = new Field("Tags", "tags", saved, { both: joined });
  const known = h("datalist", { id: "known-tags" });
  const box = h("input", { class: "tag-box", placeholder: "Add a tag", "aria-label": "Add a tag", autocomplete: "off", maxLength: 100 });
  box.setAttribute("list", "known-tags");
  const list = h("div", { class: "tag-list" });
  /** @type {string[]} */
  let now = [];
  const change = (/** @type {string[]} */ tags) => {
    now = tags;
    draw();
    void field.save(now);
  };
  const draw = () => {
    const chips = now.map((tag) =>
      h(
        "span",
        { class: "tag" },
        h("span", null, tag),
        h("button", { type: "button", "aria-label": `Remove tag ${tag}`, onclick: () => (change(now.filter((one) => one !== tag)), box.focus()) }, icon("close")),
      ),
    );
    list.replaceChildren(...chips, box);
  };
  const take = () => {
    const given = box.value.split(",").map((tag) => tag.trim()).filter(Boolean);
    const fresh = given.filter((tag) => !now.some((one) => one.toLowerCase() === tag.toLowerCase()));
    box.value = "";
    if (fresh.length) {
      change([...now, ...fresh]);
      box.focus();
    }
  };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === ",") {
      event.preventDefault();
      take();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      box.value = "";
      box.blur();
    }
  });
  box.addEventListener("focus", () => {
    const options = (library.facets?.tag ?? []).filter(({ value }) => !now.includes(value));
    known.replaceChildren(...options.map(({ value }) => h("option", { value })));
  });
  box.addEventListener("blur", () => box.isConnected && setTimeout(() => document.activeElement !== box && box.value && take()));
  field.body.append(list, known);
  return {
    element: field.element,
    update(detail) {
      if (!field.update(detail)) return;
      if (now.join("\n") === detail.tags.join("\n") && list.childElementCount) return;
      const typing = document.activeElement === box;
      now = [...detail.tags];
      draw();
      if (typing) box.focus();
    },
  };
}
