// The hand-picked collections that a LoRA is in.
import { ApiError, readLora, request } from "../api.js";
import { attempt, openDialog } from "../ask.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { openMenu } from "../popup.js";
import { query } from "../query.js";
import { remember } from "../undo.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {{id: number, name: string}} Membership */

/** @returns {import("./fields.js").Part} */
export function collectionsField(/** @type {(detail: Detail) => void} */ saved) {
  const list = h("div", { class: "tag-list" });
  const add = h("button", { class: "quiet", type: "button", "aria-haspopup": "menu", "aria-expanded": "false" }, icon("plus"), "Add to…");
  const element = h("section", { class: "field field-collections", "aria-label": "Collections" }, h("div", { class: "field-head" }, h("h3", null, "Collections"), add), h("div", { class: "field-body" }, list));
  let id = 0;
  /** @type {Membership[]} */
  let now = [];

  const put = (/** @type {number} */ collection, /** @type {boolean} */ into, /** @type {string} */ name) =>
    attempt(
      async () => {
        const answer = await request("POST", `collections/${collection}/items`, { body: { [into ? "add" : "remove"]: { ids: [id] } } });
        remember(answer.action, into ? `Added to ${name}.` : `Taken out of ${name}.`);
        saved(await readLora(id));
      },
      { failed: "Not changed" },
    );

  const draw = () => {
    const chips = now.map((one) =>
      h(
        "span",
        { class: "tag" },
        h("button", { class: "tag-name", type: "button", title: `Show all of ${one.name}`, onclick: () => open(one) }, one.name),
        h("button", { type: "button", "aria-label": `Take out of ${one.name}`, onclick: () => void put(one.id, false, one.name) }, icon("close")),
      ),
    );
    list.replaceChildren(...chips);
    if (!now.length) list.append(h("span", { class: "hint" }, "In none."));
  };

  add.addEventListener("click", async () => {
    const answer = await attempt(() => request("GET", "collections"), { failed: "The collections did not arrive" });
    if (!answer) return;
    const picked = answer.items.filter((/** @type {any} */ one) => one.query === null);
    const items = picked.map((/** @type {Membership} */ one) => {
      const there = now.some((mine) => mine.id === one.id);
      return { label: one.name, icon: there ? "check" : "plus", run: () => void put(one.id, !there, one.name) };
    });
    openMenu(add, "Collections", [...items, items.length ? null : undefined, { label: "New collection…", icon: "plus", run: makeNew }].filter((item) => item !== undefined));
  });

  function makeNew() {
    const box = h("input", { required: true, maxLength: 200, placeholder: "Name", "aria-label": "Name of the collection", autocomplete: "off" });
    const note = h("p", { class: "form-note", role: "alert" });
    const form = h("form", { class: "line-form" }, box, h("button", { class: "small-button strong", type: "submit" }, "Make"), note);
    const dialog = openDialog("New collection", [form]);
    box.focus();
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const made = await request("POST", "collections", { body: { name: box.value.trim() } });
        dialog.close();
        void put(made.id, true, made.name);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        note.textContent = error.message;
      }
    });
  }

  return {
    element,
    update(detail) {
      element.hidden = !detail.collections;
      id = detail.id;
      if (JSON.stringify(now) === JSON.stringify(detail.collections ?? []) && list.childElementCount) return;
      now = detail.collections ?? [];
      draw();
    },
  };
}

/** Show a collection's LoRAs. */
function open(/** @type {Membership} */ one) {
  query.set({ q: `collection:"${one.name.replaceAll('"', "")}"` });
  query.setPage(null);
}
