// The list of the tags page: rows that load as one scrolls, some of them selected for what is done to several at once.
import { request } from "../api.js";
import { attempt } from "../ask.js";
import { Emitter, h } from "../dom.js";
import { LABELS } from "../drawer/marks.js";
import { count, plural } from "../format.js";
import { icon } from "../icons.js";
import { goTo } from "../pages.js";
import { openMenu } from "../popup.js";
import { query } from "../query.js";
import { offerUndo } from "../undo.js";
import { fill, nothing } from "./parts.js";
import { askName } from "./tagname.js";

/** @typedef {import("../types.js").Tag} Tag */
/** @typedef {{items: Tag[], total: number, next_cursor: string|null}} Answer */

const PAGE = 200;

/** Emits "changed" when tags are not what they were. */
export class TagList extends Emitter {
  constructor() {
    super();
    /** @type {Map<string, Tag>} */
    this.picked = new Map();
    this.asked = { q: "", sort: "count" };
    this.total = 0;
    /** @type {string|null} */
    this.cursor = null;
    this.turn = 0;
    this.rows = h("div", { class: "tag-rows", role: "list", "aria-label": "Tags" });
    this.end = h("div", { class: "tag-end" });
    this.summary = h("span", { class: "tag-summary", role: "status" });
    this.actions = h("div", { class: "tag-actions" });
    this.all = h("input", { type: "checkbox", "aria-label": "Select all that are shown" });
    this.all.addEventListener("change", () => this.#pickAll(this.all.checked));
    this.element = h("div", { class: "tag-page" }, h("div", { class: "tag-top" }, this.all, this.summary, this.actions), this.rows, this.end);
    new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && void this.#more(), { rootMargin: "600px" }).observe(this.end);
  }

  /** Ask for the list anew; rows stay until it is here. */
  async show(/** @type {string} */ q, /** @type {string} */ sort) {
    this.turn += 1;
    const { turn } = this;
    const keep = q === this.asked.q && sort === this.asked.sort ? Math.max(PAGE, this.rows.childElementCount) : PAGE;
    this.asked = { q, sort };
    await fill(this.rows, () => this.#ask(Math.min(keep, 10_000), null), (answer) => turn === this.turn && this.#take(answer));
  }

  #take(/** @type {Answer} */ answer) {
    this.total = answer.total;
    const names = new Set(answer.items.map(({ name }) => name));
    for (const name of this.picked.keys()) if (!names.has(name)) this.picked.delete(name);
    this.rows.replaceChildren(...answer.items.map((tag) => this.#row(tag)));
    const { q } = this.asked;
    if (!answer.items.length) this.rows.append(q ? nothing("tag", "Nothing found", [`No tag has “${q}” in it.`]) : nothing("tag", "No tags yet", ["Select LoRAs in the library and choose Tags."]));
    this.cursor = answer.next_cursor;
    this.#head();
  }

  /** @returns {Promise<Answer>} */
  #ask(/** @type {number} */ limit, /** @type {string|null} */ cursor) {
    const parameters = new URLSearchParams({ ...this.asked, limit: String(limit), ...(cursor ? { cursor } : {}) });
    return request("GET", `tags?${parameters}`);
  }

  async #more() {
    const { cursor, turn } = this;
    if (!cursor || !this.end.isConnected) return;
    this.cursor = null;
    const answer = await attempt(() => this.#ask(PAGE, cursor));
    if (!answer || turn !== this.turn) return;
    this.rows.append(...answer.items.map((tag) => this.#row(tag)));
    this.cursor = answer.next_cursor;
  }

  #row(/** @type {Tag} */ tag) {
    const { name } = tag;
    const box = h("input", { type: "checkbox", checked: this.picked.has(name), "aria-label": `Select ${name}` });
    box.addEventListener("change", () => {
      if (box.checked) this.picked.set(name, tag);
      else this.picked.delete(name);
      this.#head();
    });
    const depth = this.asked.sort === "name" && !this.asked.q ? name.split("/").length - 1 : 0;
    const cut = depth ? name.lastIndexOf("/") + 1 : 0;
    const color = h("button", { class: "swatch-button", type: "button", title: "Colour", "aria-label": `Colour of ${name}: ${tag.color ?? "none"}`, "aria-haspopup": "menu" }, h("span", { class: `swatch ${tag.color ?? "none"}` }));
    color.addEventListener("click", () => openMenu(color, `Colour of ${name}`, this.#colors([tag])));
    const edit = h("button", { class: "tag-name-button", type: "button", title: `Rename ${name}` }, h("span", null, cut ? h("span", { class: "above" }, name.slice(0, cut)) : null, name.slice(cut)));
    edit.addEventListener("click", () => void this.#rename([tag], edit));
    const show = h("button", { class: "quiet", type: "button", title: "Show them in the library" }, plural(tag.count, "LoRA"));
    show.addEventListener("click", () => {
      query.set({ tag: [name], not_tag: [], q: "" });
      goTo(null);
    });
    const remove = h("button", { class: "icon-button", type: "button", title: "Take away from every LoRA", "aria-label": `Take ${name} away from every LoRA` }, icon("trash"));
    remove.addEventListener("click", () => void this.#remove([tag]));
    const from = tag.becomes_from.length ? h("span", { class: "hint becomes" }, `also what files call ${tag.becomes_from.slice(0, 4).join(", ")}${tag.becomes_from.length > 4 ? " …" : ""}`) : null;
    return h("div", { class: "tag-row", role: "listitem", style: { "--depth": depth } }, box, color, h("div", { class: "tag-row-name" }, edit, from), show, remove);
  }

  #pickAll(/** @type {boolean} */ on) {
    for (const box of this.rows.querySelectorAll("input")) {
      if (box.checked !== on) box.click();
    }
  }

  #head() {
    const tags = [...this.picked.values()];
    this.all.checked = tags.length > 0 && tags.length === this.rows.querySelectorAll(".tag-row").length;
    this.all.indeterminate = tags.length > 0 && !this.all.checked;
    this.summary.textContent = tags.length ? `${count(tags.length)} selected` : plural(this.total, "tag");
    if (!tags.length) return this.actions.replaceChildren();
    const tool = (/** @type {import("../icons.js").IconName} */ sign, /** @type {string} */ label, /** @type {(button: HTMLElement) => void} */ run) => {
      const button = h("button", { class: "small-button", type: "button" }, icon(sign), label);
      button.addEventListener("click", () => run(button));
      return button;
    };
    return this.actions.replaceChildren(
      tool("tag", tags.length > 1 ? "Merge…" : "Rename…", (button) => void this.#rename(tags, button)),
      tool("label", "Colour", (button) => openMenu(button, "Colour", this.#colors(tags))),
      tool("trash", "Take away", () => void this.#remove(tags)),
    );
  }

  /** @returns {import("../popup.js").MenuItem[]} */
  #colors(/** @type {Tag[]} */ tags) {
    return [null, ...LABELS].map((color) => ({
      label: color ? `${color.charAt(0).toUpperCase()}${color.slice(1)}` : "None",
      mark: h("span", { class: `swatch ${color ?? "none"}` }),
      checked: tags.every((tag) => tag.color === color),
      run: () => void this.#color(tags, color),
    }));
  }

  async #color(/** @type {Tag[]} */ tags, /** @type {string|null} */ color) {
    /** @type {number[]} */
    const actions = [];
    for (const { name } of tags) {
      const answer = await attempt(() => request("POST", "tags/color", { body: { name, color } }), { failed: "Not coloured" });
      if (!answer) break;
      actions.push(answer.action);
    }
    const [first, ...more] = actions;
    const what = actions.length === 1 ? `${tags[0]?.name} is` : `${plural(actions.length, "tag")} are`;
    if (first !== undefined) offerUndo({ action: first }, color ? `${what} ${color} now` : `${what} without a colour now`, more);
    this.emit("changed");
  }

  async #rename(/** @type {Tag[]} */ tags, /** @type {HTMLElement} */ anchor) {
    askName(anchor, tags, async (to) => {
      const answer = await request("POST", "tags/rename", { body: { from: tags.map(({ name }) => name), to } });
      this.picked.clear();
      const what = tags.length === 1 ? (tags[0]?.name ?? "") : plural(tags.length, "tag");
      offerUndo(answer, `${what} is now ${to}, on ${plural(answer.changed, "LoRA")}`);
      this.emit("changed");
    });
  }

  async #remove(/** @type {Tag[]} */ tags) {
    const names = tags.map(({ name }) => name);
    const answer = await attempt(() => request("POST", "tags/remove", { body: { names } }), { failed: "Not taken away" });
    if (!answer) return;
    for (const name of names) this.picked.delete(name);
    offerUndo(answer, `${names.length === 1 ? names[0] : plural(names.length, "tag")} taken away from ${plural(answer.changed, "LoRA")}`);
    this.emit("changed");
  }
}
