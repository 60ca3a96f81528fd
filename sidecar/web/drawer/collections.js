// The hand-picked collections that a LoRA is in.
import { readLora } from "../api.js";
import { collections } from "../collections.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { openMenu } from "../popup.js";
import { query } from "../query.js";
import { newCollection } from "../rail/collections.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {import("../types.js").Collection} Collection */
/** @typedef {{id: number, name: string}} Membership */

/** @returns {import("./fields.js").Part} */
export function collectionsField(/** @type {(detail: Detail) => void} */ saved) {
  const list = h("div", { class: "tag-list" });
  const add = h("button", { class: "quiet", type: "button", "aria-haspopup": "menu", "aria-expanded": "false" }, icon("plus"), "Add to…");
  const element = h("section", { class: "field field-collections", "aria-label": "Collections" }, h("div", { class: "field-head" }, h("h3", null, "Collections"), add), h("div", { class: "field-body" }, list));
  let id = 0;
  /** @type {Membership[]} */
  let now = [];

  const pick = async (/** @type {Collection} */ collection, /** @type {"add"|"remove"} */ way) => {
    const lora = id;
    if (await collections.pick(collection, way, { ids: [lora] }, 1)) saved(await readLora(lora));
  };
  const out = (/** @type {number} */ one) => {
    const collection = collections.byId(one);
    if (collection) void pick(collection, "remove");
  };
  const draw = () => {
    const chips = now.map((one) =>
      h(
        "span",
        { class: "tag" },
        h("button", { class: "tag-name", type: "button", title: `Show all of ${one.name}`, onclick: () => show(one) }, one.name),
        h("button", { type: "button", "aria-label": `Take out of ${one.name}`, onclick: () => out(one.id) }, icon("close")),
      ),
    );
    list.replaceChildren(...chips);
    if (!now.length) list.append(h("span", { class: "hint" }, "In none."));
  };

  add.addEventListener("click", () => {
    const there = new Set(now.map((one) => one.id));
    const items = collections.picked.map((one) => ({
      label: one.name,
      icon: /** @type {"check"|"plus"} */ (there.has(one.id) ? "check" : "plus"),
      run: () => void pick(one, there.has(one.id) ? "remove" : "add"),
    }));
    const fresh = { label: "New collection…", icon: /** @type {const} */ ("layers"), run: () => newCollection(add, (made) => void pick(made, "add")) };
    openMenu(add, "Collections", items.length ? [...items, null, fresh] : [fresh]);
  });

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
function show(/** @type {Membership} */ one) {
  query.set({ collection: String(one.id) });
  query.setPage(null);
}
