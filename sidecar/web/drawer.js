// The details of one LoRA. Shows at once what the list knows, then everything the sidecar knows.
import { mainAction, runMainAction, toggleFavorite } from "./actions.js";
import { ApiError, previewUrl, readHistory, readLora } from "./api.js";
import { bridge } from "./bridge.js";
import { STATE_NAMES } from "./card.js";
import { add, debounce, find, h } from "./dom.js";
import { notesField, titleField, weightField } from "./drawer/fields.js";
import { tagsField, wordsField } from "./drawer/lists.js";
import { hue, tagOf, titleOf } from "./format.js";
import { icon } from "./icons.js";
import { library } from "./library.js";
import { query } from "./query.js";
import * as show from "./drawer/sections.js";

/** @typedef {import("./types.js").Lora} Lora */
/** @typedef {import("./types.js").Detail} Detail */

export class LoraDrawer extends HTMLElement {
  constructor() {
    super();
    /** @type {Lora|Detail|null} */
    this.lora = null;
    /** @type {AbortController|null} */
    this.loading = null;
    const saved = (/** @type {Detail} */ detail) => this.#take(detail);
    this.titlePart = titleField(saved);
    this.fields = [wordsField(saved), tagsField(saved), notesField(saved)];
    this.weight = weightField(saved);
    this.media = h("div", { class: "drawer-media" });
    this.shownMedia = "";
    this.base = h("div", { class: "base-line" });
    this.problem = h("div", { class: "problem", hidden: true });
    this.main = h("button", { class: "primary", type: "button" });
    this.star = h("button", { class: "icon-button star", type: "button" }, icon("star"));
    this.more = h("div", { class: "drawer-more" });
    this.close = h("button", { class: "icon-button", type: "button", title: "Close (Esc)", "aria-label": "Close details" }, icon("close"));
    this.previous = h("button", { class: "icon-button", type: "button", title: "Previous", "aria-label": "Previous LoRA" }, icon("left"));
    this.next = h("button", { class: "icon-button", type: "button", title: "Next", "aria-label": "Next LoRA" }, icon("right"));
    this.stem = h("span", { class: "drawer-stem" });
    this.body = h("div", { class: "drawer-body" });
  }

  connectedCallback() {
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", "Details");
    this.hidden = true;
    add(this.body, [this.media, this.problem, this.titlePart.element, this.base, h("div", { class: "act" }, this.main, this.weight.element)]);
    add(this.body, [...this.fields.map((field) => field.element), this.more]);
    this.append(h("header", { class: "drawer-head" }, this.previous, this.next, this.stem, this.star, this.close), this.body);
    this.close.addEventListener("click", () => this.dismiss());
    this.previous.addEventListener("click", () => this.#step(-1));
    this.next.addEventListener("click", () => this.#step(1));
    this.star.addEventListener("click", () => this.lora && void toggleFavorite(this.lora));
    this.main.addEventListener("click", () => this.lora && runMainAction(this.lora, () => this.problem.scrollIntoView()));
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

  /** Bring the shown LoRA up to date, unless the user is typing in the drawer. */
  async reread(/** @type {number} */ id) {
    if (this.lora?.id === id && !this.contains(document.activeElement)) await this.#load(id);
  }

  focusTitle() {
    const box = find("input", this.titlePart.element);
    if (box instanceof HTMLInputElement) box.select();
    box.focus();
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
    if (id === null) {
      this.lora = null;
      this.media.replaceChildren();
      this.shownMedia = "";
      return;
    }
    const known = library.byId(id);
    this.body.scrollTop = 0;
    this.more.replaceChildren(h("div", { class: "skeleton lines" }));
    this.body.classList.add("waiting");
    this.lora = known ?? null;
    if (known) this.#head();
    if (!wasOpen && window.matchMedia("(max-width: 720px)").matches) this.close.focus();
    void this.#load(id);
  }

  async #load(/** @type {number} */ id) {
    this.loading?.abort();
    const controller = new AbortController();
    this.loading = controller;
    try {
      const detail = await readLora(id, controller.signal);
      this.#take(detail);
      library.patch(id, detail);
      const past = await readHistory(id, controller.signal).catch((error) => (error instanceof ApiError ? null : Promise.reject(error)));
      const section = past && show.history(past);
      if (section && query.open === id) this.more.append(section);
    } catch (error) {
      if (!(error instanceof ApiError)) return; // another LoRA was opened meanwhile
      const retry = h("button", { class: "small-button", type: "button", onclick: () => void this.#load(id) }, icon("refresh"), "Try again");
      const text = error.status === 404 ? "This LoRA is not in the library any more." : `The details did not arrive: ${error.message}`;
      this.more.replaceChildren(h("div", { class: "drawer-error" }, h("p", null, text), error.status === 404 ? null : retry));
    }
  }

  #take(/** @type {Detail} */ detail) {
    if (query.open !== detail.id) return;
    this.lora = detail;
    this.body.classList.remove("waiting");
    this.#head();
    this.titlePart.update(detail);
    this.weight.update(detail);
    for (const field of this.fields) field.update(detail);
    const parts = [show.description(detail), show.trainingTags(detail), show.examples(detail), show.training(detail), show.files(detail), show.hashes(detail), show.metadata(detail)];
    this.more.replaceChildren();
    add(this.more, parts);
  }

  #head() {
    const { lora } = this;
    if (!lora) return;
    const title = titleOf(lora);
    this.setAttribute("aria-label", `Details of ${title}`);
    this.stem.textContent = lora.name;
    this.stem.title = lora.name;
    const box = find("input", this.titlePart.element);
    if (this.body.classList.contains("waiting") && box instanceof HTMLInputElement) box.value = title;
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
    this.#showBase(lora);
    this.#showProblem(lora);
    this.#showMedia(lora, title);
  }

  #showBase(/** @type {Lora|Detail} */ lora) {
    const degrees = hue(lora.base_model);
    const reason = "base_model_reason" in lora ? lora.base_model_reason : null;
    const parts = [h("span", { class: degrees < 0 ? "base grey" : "base", style: { "--hue": Math.max(0, degrees) } }, lora.base_model)];
    if (reason) parts.push(h("span", { class: "hint" }, reason));
    if ("author" in lora) {
      const by = [lora.author && `by ${lora.author}`, lora.version].filter(Boolean).join(", ");
      const link = show.outside(lora.url, "Author's page");
      if (by || link) parts.push(h("div", { class: "by" }, by, by && link ? " · " : "", link ?? ""));
    }
    this.base.replaceChildren(...parts);
  }

  #showProblem(/** @type {Lora|Detail} */ lora) {
    this.problem.hidden = lora.state === "ok" && !lora.shadowed;
    if (this.problem.hidden) return;
    /** @type {Record<string, string>} */
    const plain = {
      broken: "This file is damaged; a host cannot load it. Download it again.",
      unreadable: "This file cannot be read. Check its permissions.",
      missing: "This file is not where it was. Its tags and notes are kept until it is back.",
      legacy: "This is an old pickle file (.pt, .ckpt). It is listed, but never opened, because opening it could run code.",
      ok: "Another file has the same name; the host loads only one of the two.",
    };
    const reason = "state_reason" in lora ? lora.state_reason : null;
    this.problem.className = `problem ${lora.state}`;
    this.problem.replaceChildren(
      icon(lora.state === "missing" ? "gone" : "warn"),
      h("div", null, h("strong", null, STATE_NAMES[lora.state] ?? "Same name"), h("p", null, plain[lora.state] ?? ""), reason ? h("p", { class: "hint" }, reason) : null),
    );
  }

  #showMedia(/** @type {Lora} */ lora, /** @type {string} */ title) {
    const key = `${lora.id}/${lora.preview?.v ?? ""}`;
    if (key === this.shownMedia) return;
    this.shownMedia = key;
    this.media.hidden = !lora.preview;
    if (!lora.preview) return void this.media.replaceChildren();
    if (lora.preview.kind === "video") {
      const film = h("video", { controls: true, muted: true, loop: true, playsInline: true, preload: "metadata", "aria-label": `Preview of ${title}` });
      film.src = previewUrl(lora, true);
      this.media.replaceChildren(film);
    } else {
      const small = h("img", { alt: `Preview of ${title}`, decoding: "async", src: previewUrl(lora) });
      const open = h("a", { href: previewUrl(lora, true), target: "_blank", rel: "noopener", title: "Open the full picture" }, small);
      this.media.replaceChildren(open);
    }
  }

  #step(/** @type {number} */ by) {
    this.dispatchEvent(new CustomEvent("step", { detail: by }));
  }
}

customElements.define("lora-drawer", LoraDrawer);
