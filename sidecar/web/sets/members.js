// The LoRAs of a set while it is edited: searched and added, put in order, taken out.
import { ApiError, listLoras } from "../api.js";
import { Combo } from "../combo.js";
import { h } from "../dom.js";
import { titleOf, weight } from "../format.js";
import { thumb } from "../pages/parts.js";
import { toast } from "../toast.js";
import { MemberRow } from "./member.js";
import { sortable } from "./reorder.js";
import { stackButton } from "./stack.js";

/** @typedef {import("../types.js").Lora} Lora */
/** @typedef {import("../types.js").SetLora} SetLora */

const FOUND = 10;
const MOST = 200;

/** A LoRA of the library as a member about whom nothing is said. @returns {SetLora} */
export const memberFrom = (/** @type {Lora} */ lora) => ({
  lora_id: lora.id,
  name: lora.name,
  title: titleOf(lora),
  weight: null,
  te: null,
  unet: null,
  in: null,
  mid: null,
  out: null,
  dyn: null,
  words: null,
  state: "ok",
  base_model: lora.base_model,
  preview: lora.preview,
  nsfw: lora.nsfw,
  usual_weight: lora.weight,
});

export class Members {
  /** @param {() => void} changed @param {() => string} prompt the set's own text */
  constructor(changed, prompt) {
    this.changed = changed;
    this.heat = stackButton(() => this.rows, prompt);
    /** @type {MemberRow[]} */
    this.rows = [];
    this.base = /** @type {string|null} */ (null);
    this.sum = h("span", { class: "hint" });
    this.said = h("span", { class: "offscreen", role: "status" });
    this.list = h("ol", { class: "members", "aria-label": "LoRAs of the set" });
    this.none = h("p", { class: "members-none" }, "No LoRAs yet. Search for one below; a set may also be text alone.");
    this.box = h("input", { class: "member-search", placeholder: "Add a LoRA: name, tag, trigger word", "aria-label": "Add a LoRA", autocomplete: "off", spellcheck: false });
    this.element = h("section", { class: "set-section", "aria-label": "LoRAs" }, h("div", { class: "field-head" }, h("h2", null, "LoRAs"), this.sum, this.heat.element), this.none, this.list, this.box, this.said);
    this.combo = new Combo(this.box, {
      label: "LoRAs",
      className: "lora-suggest",
      ask: (text) => this.#search(text),
      draw: (/** @type {Lora} */ lora) => [thumb(lora), h("span", { class: "suggest-text" }, titleOf(lora)), h("span", { class: "suggest-hint" }, this.#holds(lora.id) ? "in the set" : lora.base_model)],
      choose: (lora) => this.add(lora),
    });
    this.box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      const first = this.combo.items[0];
      if (first) this.combo.close();
      if (first) this.add(first);
    });
    sortable(this.list, { handle: ".grip", moved: (from, to) => this.#move(from, to) });
  }

  /** @returns {SetLora[]} */
  get members() {
    return this.rows.map(({ member }) => member);
  }

  /** Show these; each is changed in place. */
  show(/** @type {SetLora[]} */ members) {
    this.rows = members.map((member) => this.#row(member));
    this.list.replaceChildren(...this.rows.map(({ element }) => element));
    this.#tell();
  }

  /** The base model that the set is for, so that LoRAs for another are marked. */
  showBase(/** @type {string|null} */ base) {
    this.base = base;
    for (const row of this.rows) row.showBase(base);
  }

  add(/** @type {Lora} */ lora) {
    this.box.value = "";
    this.box.focus();
    if (this.#holds(lora.id)) return toast(`${titleOf(lora)} is in the set already.`);
    if (this.rows.length >= MOST) return toast(`A set holds at most ${MOST} LoRAs.`, { kind: "error" });
    const row = this.#row(memberFrom(lora));
    this.rows.push(row);
    this.list.append(row.element);
    row.showBase(this.base);
    this.said.textContent = `${titleOf(lora)} added`;
    this.#tell();
    this.changed();
    return undefined;
  }

  #row(/** @type {SetLora} */ member) {
    const changed = () => {
      this.#tell();
      this.changed();
    };
    return new MemberRow(member, { changed, remove: (row) => this.#remove(row) });
  }

  #holds(/** @type {number} */ id) {
    return this.rows.some(({ member }) => member.lora_id === id);
  }

  #remove(/** @type {MemberRow} */ row) {
    const at = this.rows.indexOf(row);
    this.rows.splice(at, 1);
    row.element.remove();
    this.said.textContent = `${row.member.title} taken out`;
    const next = this.rows[at] ?? this.rows[at - 1];
    (next ? next.grip : this.box).focus();
    this.#tell();
    this.changed();
  }

  #move(/** @type {number} */ from, /** @type {number} */ to) {
    const [row] = this.rows.splice(from, 1);
    if (!row) return;
    this.rows.splice(to, 0, row);
    if (this.list.children[to] !== row.element) this.list.insertBefore(row.element, this.list.children[to > from ? to + 1 : to] ?? null);
    row.grip.focus();
    this.said.textContent = `${row.member.title}, ${to + 1} of ${this.rows.length}`;
    this.changed();
  }

  #tell() {
    const { members } = this;
    const sum = members.reduce((all, member) => all + (member.weight ?? member.usual_weight ?? 1), 0);
    this.sum.textContent = members.length > 1 ? `weights add up to ${weight(sum)}` : "";
    this.heat.show(members.filter((member) => member.state === "ok" && member.weight !== 0).length);
    this.none.hidden = members.length > 0;
    this.list.hidden = members.length === 0;
  }

  /** @returns {Promise<Lora[]>} */
  async #search(/** @type {string} */ text) {
    if (!text.trim()) return [];
    try {
      const { items } = await listLoras(new URLSearchParams({ q: text.trim(), limit: String(FOUND), state: "ok" }), new AbortController().signal);
      return items;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return [];
    }
  }
}
