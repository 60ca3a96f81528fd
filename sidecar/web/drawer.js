// The details of one LoRA. Shows at once what the list knows, then everything the sidecar knows. Its parts are in drawer/.
import { mainAction, runMainAction, toggleFavorite } from "./actions.js";
import { ApiError, readHistory, readLora } from "./api.js";
import { bridge } from "./bridge.js";
import { STATE_NAMES } from "./card.js";
import { add, debounce, h, throttle } from "./dom.js";
import { collectionsField } from "./drawer/collections.js";
import { baseField, negativeField, notesField, titleField, weightField } from "./drawer/fields.js";
import { tagsField, wordsField } from "./drawer/lists.js";
import { Marks } from "./drawer/marks.js";
import { Media } from "./drawer/media.js";
import * as show from "./drawer/sections.js";
import { Tabs } from "./drawer/tabs.js";
import { live } from "./events.js";
import { tagOf, titleOf } from "./format.js";
import { icon } from "./icons.js";
import { library } from "./library.js";
import { query } from "./query.js";
import { undoing } from "./undo.js";

/** @typedef {import("./types.js").Lora} Lora */
/** @typedef {import("./types.js").Detail} Detail */

/** @type {Record<string, string>} */
const PROBLEMS = {
  broken: "This file is damaged; a host cannot load it. Download it again.",
  unreadable: "This file cannot be read. Check its permissions.",
  missing: "This file is not where it was. Its tags and notes are kept until it is back.",
  legacy: "This is an old pickle file (.pt, .ckpt). It is listed, but never opened, because opening it could run code.",
  ok: "Another file has the same name; the host loads only one of the two.",
};

export class LoraDrawer extends HTMLElement {
  constructor() {
    super();
    /** @type {Lora|Detail|null} */
    this.lora = null;
    /** @type {AbortController|null} */
    this.loading = null;
    this.shownMore = "";
    this.shownPast = "";
    const saved = (/** @type {Detail} */ detail) => this.#take(detail);
    this.titlePart = titleField(saved);
    this.base = baseField(saved);
    this.weight = weightField(saved);
    this.fields = [wordsField(saved), tagsField(saved), collectionsField(saved), notesField(saved), negativeField(saved)];
    this.marks = new Marks(saved);
    this.media = new Media(() => this.lora && void this.#load(this.lora.id));
    this.by = h("div", { class: "by" });
    this.problem = h("div", { class: "problem", hidden: true });
    this.main = h("button", { class: "primary", type: "button" });
    this.star = h("button", { class: "icon-button star", type: "button" }, icon("star"));
    this.more = h("div", { class: "drawer-more" });
    this.past = h("div");
    this.error = h("div", { class: "drawer-error", hidden: true });
    this.close = h("button", { class: "icon-button", type: "button", title: "Close (Esc)", "aria-label": "Close details" }, icon("close"));
    this.previous = h("button", { class: "icon-button", type: "button", title: "Previous", "aria-label": "Previous LoRA" }, icon("left"));
    this.next = h("button", { class: "icon-button", type: "button", title: "Next", "aria-label": "Next LoRA" }, icon("right"));
    this.stem = h("span", { class: "drawer-stem" });
    this.tabs = new Tabs(h("div", null, ...this.fields.map((field) => field.element), this.more, this.past));
    this.body = h("div", { class: "drawer-body" });
  }

  connectedCallback() {
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", "Details");
    this.hidden = true;
    add(this.body, [this.media.element, this.problem, this.titlePart.element, this.by, this.base.element, this.marks.element]);
    add(this.body, [h("div", { class: "act" }, this.main, this.weight.element), this.error, this.tabs.element]);
    this.append(h("header", { class: "drawer-head" }, this.previous, this.next, this.stem, this.star, this.close), this.body);
    this.close.addEventListener("click", () => this.dismiss());
    this.previous.addEventListener("click", () => this.#step(-1));
    this.next.addEventListener("click", () => this.#step(1));
    this.star.addEventListener("click", () => this.lora && void toggleFavorite(this.lora));
    this.main.addEventListener("click", () => this.lora && runMainAction(this.lora, () => this.problem.scrollIntoView()));
    const again = () => query.open !== null && void this.reread(query.open);
    this.addEventListener("reread", again);
    undoing.on("undone", again);
    live.on("library.changed", throttle(again, 1000)); // renamed, moved, a side file more
    for (const type of ["write_back", "reset"]) live.on(type, again);
    query.on("open", () => this.#open());
    library.on("item", (lora) => lora.id === this.lora?.id && this.#head());
    library.on("edited", ({ id, favorite }) => {
      if (this.lora?.id !== id || !this.lora) return;
      this.lora.favorite = favorite;
      this.#head();
    });
    bridge.on("prompt", () => this.#head());
    bridge.on("host", () => this.#head());
    this.#open();
  }

  /** Show another LoRA if the drawer is open; the keyboard walks the grid with it. */
  follow = debounce((/** @type {Lora|undefined} */ lora) => {
    if (lora && query.open !== null) query.setOpen(lora.id);
  }, 120);

  /** Bring the shown LoRA up to date; what the user is typing stays. */
  async reread(/** @type {number} */ id) {
    if (this.lora?.id === id) await this.#load(id);
  }

  focusTitle() {
    this.titlePart.box.select();
    this.titlePart.box.focus();
  }

  dismiss() {
    const index = query.open === null ? -1 : library.indexOf(query.open);
    const inside = this.contains(document.activeElement) || document.activeElement === document.body;
    this.follow.cancel();
    query.setOpen(null);
    if (inside) this.dispatchEvent(new CustomEvent("dismissed", { detail: index }));
  }

  #open() {
    const id = query.open;
    const wasOpen = !this.hidden;
    document.body.classList.toggle("drawer-open", id !== null);
    this.hidden = id === null;
    this.loading?.abort();
    this.error.hidden = true;
    if (id === null) {
      this.lora = null;
      this.media.lora = null;
      this.media.clear();
      this.tabs.leave();
      return;
    }
    const known = library.byId(id);
    this.body.scrollTop = this.tabs.chosen === "details" ? 0 : Math.min(this.body.scrollTop, this.tabs.element.offsetTop);
    this.shownMore = "";
    this.more.replaceChildren(h("div", { class: "skeleton lines" }));
    this.past.replaceChildren();
    this.body.classList.add("waiting");
    this.lora = known ?? null;
    if (known) this.#head();
    else this.#blank();
    if (!wasOpen && window.matchMedia("(max-width: 720px)").matches) this.close.focus();
    void this.#load(id);
  }

  async #load(/** @type {number} */ id) {
    this.loading?.abort();
    const controller = new AbortController();
    this.loading = controller;
    try {
      const detail = await readLora(id, controller.signal);
      if (query.open !== id) return;
      library.patch(id, detail);
      this.#take(detail);
      const past = await readHistory(id, controller.signal).catch((error) => (error instanceof ApiError ? null : Promise.reject(error)));
      if (query.open === id) this.#showPast(past);
    } catch (error) {
      if (error instanceof ApiError) this.#failed(error, id);
      else if (!(error instanceof DOMException && error.name === "AbortError")) throw error; // another LoRA was opened meanwhile
    }
  }

  #showPast(/** @type {any} */ past) {
    const stamp = JSON.stringify(past);
    if (stamp === this.shownPast && this.past.hasChildNodes()) return; // what is unfolded there stays so
    this.shownPast = stamp;
    const preview = (/** @type {number} */ generation, /** @type {number} */ image) => void this.media.fromGeneration(generation, image);
    const section = past && show.history(past, preview);
    this.past.replaceChildren(...(section ? [section] : []));
  }

  #failed(/** @type {ApiError} */ error, /** @type {number} */ id) {
    const gone = error.status === 404;
    const retry = h("button", { class: "small-button", type: "button", onclick: () => void this.#load(id) }, icon("refresh"), "Try again");
    const text = gone ? "This LoRA is not in the library any more." : `The details did not arrive: ${error.message}`;
    this.error.replaceChildren(h("p", null, text), ...(gone ? [] : [retry]));
    this.error.hidden = false;
    this.more.replaceChildren();
  }

  #take(/** @type {Detail} */ detail) {
    if (query.open !== detail.id) return;
    this.lora = detail;
    this.error.hidden = true;
    this.body.classList.remove("waiting");
    this.#head();
    for (const part of [this.titlePart, this.base, this.weight, ...this.fields]) part.update(detail);
    this.tabs.update(detail);
    const stamp = JSON.stringify([detail.id, detail.description, detail.pictures, detail.training_tags.length, detail.examples]);
    if (stamp === this.shownMore) return; // what is unfolded there stays so
    this.shownMore = stamp;
    this.more.replaceChildren();
    add(this.more, [show.description(detail), show.trainingTags(detail), show.examples(detail, (url) => void this.media.fromAddress(url))]);
  }

  /** Opened from a page, or a link: nothing is known of it yet. */
  #blank() {
    this.titlePart.box.value = this.stem.textContent = this.by.textContent = "";
    this.problem.hidden = true;
    this.media.lora = null;
    this.media.clear();
  }

  #head() {
    const { lora } = this;
    if (!lora) return;
    const title = titleOf(lora);
    this.setAttribute("aria-label", `Details of ${title}`);
    this.stem.textContent = lora.name;
    this.stem.title = lora.name;
    if (this.body.classList.contains("waiting")) this.titlePart.box.value = title;
    this.star.classList.toggle("on", lora.favorite);
    this.star.setAttribute("aria-pressed", String(lora.favorite));
    this.star.setAttribute("aria-label", "Favourite");
    this.star.title = "Favourite (f)";
    const action = mainAction(lora);
    this.main.disabled = action === "Why?";
    this.main.classList.toggle("remove", action === "Remove");
    const texts = { Insert: "Insert into prompt", Remove: "Remove from prompt", Copy: "Copy tag", "Why?": "Cannot be used" };
    this.main.replaceChildren(icon(action === "Remove" ? "minus" : action === "Copy" ? "copy" : action === "Insert" ? "plus" : "gone"), texts[action]);
    this.main.title = tagOf(lora);
    this.marks.update(lora);
    this.media.update(lora);
    this.#showBy(lora);
    this.#showProblem(lora);
  }

  #showBy(/** @type {Lora|Detail} */ lora) {
    if (!("author" in lora)) return;
    const by = [lora.author && `by ${lora.author}`, lora.version].filter(Boolean).join(", ");
    const link = show.outside(lora.url, "Author's page");
    this.by.replaceChildren(by, by && link ? " · " : "", link ?? "");
  }

  #showProblem(/** @type {Lora|Detail} */ lora) {
    this.problem.hidden = lora.state === "ok" && !lora.shadowed;
    if (this.problem.hidden) return;
    const reason = "state_reason" in lora ? lora.state_reason : null;
    this.problem.className = `problem ${lora.state}`;
    this.problem.replaceChildren(
      icon(lora.state === "missing" ? "gone" : "warn"),
      h("div", null, h("strong", null, STATE_NAMES[lora.state] ?? "Same name"), h("p", null, PROBLEMS[lora.state] ?? ""), reason ? h("p", { class: "hint" }, reason) : null),
    );
  }

  #step(/** @type {number} */ by) {
    this.dispatchEvent(new CustomEvent("step", { detail: by }));
  }
}

customElements.define("lora-drawer", LoraDrawer);
