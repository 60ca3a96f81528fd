// One card of the grid: built once, then shown with one LoRA after another as rows are reused.
import { mainAction } from "./actions.js";
import { previewUrl } from "./api.js";
import { bridge } from "./bridge.js";
import { h } from "./dom.js";
import { LEVELS } from "./drawer/marks.js";
import { still } from "./film.js";
import { hue, initials, titleOf, weight } from "./format.js";
import { icon } from "./icons.js";
import { preferences } from "./preferences.js";
import { query } from "./query.js";
import { selection } from "./select/selection.js";

/** @typedef {import("./types.js").Lora} Lora */

/** @type {Record<string, string>} */
export const STATE_NAMES = { broken: "Broken", unreadable: "Unreadable", missing: "Missing", legacy: "Legacy" };

const LEVEL_NAMES = new Map(LEVELS);
const canDrag = window.matchMedia("(hover: hover)");
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

/** A file's name as text that may break after its underscores; what is copied stays the name. */
function breakable(/** @type {string} */ text) {
  const parts = text.split(/(?<=_)/);
  return parts.flatMap((part, at) => (at ? [h("wbr"), part] : [part]));
}

export class Card {
  constructor() {
    /** @type {Lora|null} */
    this.lora = null;
    this.index = -1;
    this.shownPreview = "";
    this.image = h("img", { alt: "", decoding: "async", draggable: false, onload: () => this.image.classList.add("ready") });
    /** @type {HTMLVideoElement|null} */
    this.video = null;
    this.letters = h("span", { class: "letters" });
    this.action = h("span", { class: "do" });
    this.reel = h("span", { class: "reel", title: "Video" }, icon("play"));
    this.state = h("span", { class: "state", hidden: true });
    this.marker = h("span", { class: "marker", hidden: true });
    this.veil = h("span", { class: "veil", hidden: true });
    this.check = h("span", { class: "check", "aria-hidden": "true" }, icon("check"));
    const badges = h("div", { class: "badges" }, this.marker, this.state, this.reel);
    this.preview = h("div", { class: "preview" }, this.letters, this.image, this.veil, badges, this.action);
    this.star = h("button", { class: "star", type: "button", tabIndex: -1, title: "Favourite (f)" }, icon("star"));
    this.title = h("div", { class: "title" });
    this.base = h("span", { class: "base" });
    this.rating = h("span", { class: "stars", "aria-hidden": "true" });
    this.stripe = h("span", { class: "stripe" });
    this.tags = h("div", { class: "tags" });
    this.info = h("button", { class: "info", type: "button", tabIndex: -1, title: "Details (i)" }, icon("info"));
    this.caption = h("div", { class: "caption" }, this.title, h("div", { class: "sub" }, this.base, this.rating), this.tags, this.info, this.stripe);
    this.element = h("div", { class: "card", role: "gridcell", tabIndex: -1, draggable: canDrag.matches }, this.preview, this.star, this.check, this.caption);
    this.element.addEventListener("pointerenter", () => this.#play());
    this.element.addEventListener("pointerleave", () => this.#stop());
  }

  /**
   * @param {number} index place in the list
   * @param {Lora|undefined} lora undefined: not loaded yet
   * @param {boolean} images false while scrolling fast: previews come when it settles
   */
  show(index, lora, images) {
    this.index = index;
    const { element } = this;
    element.dataset["index"] = String(index);
    if (!lora) {
      this.lora = null;
      element.classList.add("loading");
      element.classList.remove("held", "open", "selected", "veiled", "hidden-one");
      element.removeAttribute("data-id");
      element.setAttribute("aria-label", "Loading");
      this.title.textContent = this.base.textContent = this.tags.textContent = this.letters.textContent = this.rating.textContent = "";
      this.stripe.className = "stripe";
      this.#clearPreview();
      return;
    }
    const other = this.lora?.id !== lora.id;
    this.lora = lora;
    element.classList.remove("loading");
    element.dataset["id"] = String(lora.id);
    const title = titleOf(lora);
    if (this.title.textContent !== title) this.title.replaceChildren(...breakable(title));
    this.title.title = lora.name;
    this.base.textContent = lora.base_model;
    const degrees = hue(lora.base_model);
    this.base.style.setProperty("--hue", String(Math.max(0, degrees)));
    this.base.classList.toggle("grey", degrees < 0);
    this.tags.textContent = lora.tags.slice(0, 6).join(" · ");
    this.star.classList.toggle("on", lora.favorite);
    this.star.setAttribute("aria-pressed", String(lora.favorite));
    this.star.setAttribute("aria-label", lora.favorite ? `Remove ${title} from favourites` : `Add ${title} to favourites`);
    this.info.setAttribute("aria-label", `Details of ${title}`);
    this.rating.textContent = "★".repeat(lora.rating ?? 0);
    this.rating.dataset["rating"] = String(lora.rating ?? "");
    this.stripe.className = lora.label ? `stripe swatch ${lora.label}` : "stripe";
    element.classList.toggle("hidden-one", lora.hidden);
    this.#showState(lora);
    if (other) element.classList.remove("revealed");
    if (other) this.letters.textContent = lora.preview ? "" : initials(title);
    this.letters.style.setProperty("--hue", String(Math.max(0, degrees)));
    this.letters.classList.toggle("grey", degrees < 0);
    this.#showPreview(lora, images);
    this.mark();
  }

  /** Why it cannot be used, or else that it is hidden. */
  #showState(/** @type {Lora} */ lora) {
    const shown = lora.state !== "ok" ? lora.state : lora.hidden ? "hidden" : "";
    this.state.hidden = shown === "";
    if (!shown || this.state.classList.contains(shown)) return;
    this.state.className = `state ${shown}`;
    const sign = shown === "missing" ? "gone" : shown === "hidden" ? "hide" : "warn";
    this.state.replaceChildren(icon(sign), h("span", null, shown === "hidden" ? "Hidden" : (STATE_NAMES[shown] ?? shown)));
  }

  /** Bring the parts up to date that depend on the prompt, on what is open or selected, and on the settings. */
  mark() {
    const { lora } = this;
    if (!lora) return;
    const held = Boolean(bridge.host) && bridge.holds(lora.name);
    this.element.classList.toggle("held", held);
    this.element.classList.toggle("open", query.open === lora.id);
    const selected = selection.has(lora.id);
    this.element.classList.toggle("selected", selected);
    this.element.setAttribute("aria-selected", String(selected));
    const veiled = Boolean(lora.preview) && preferences.blurs(lora);
    this.element.classList.toggle("veiled", veiled);
    this.veil.hidden = !veiled;
    if (veiled && this.veil.dataset["level"] !== String(lora.nsfw)) {
      this.veil.dataset["level"] = String(lora.nsfw);
      this.veil.replaceChildren(icon("hide"), LEVEL_NAMES.get(lora.nsfw) ?? "");
    }
    this.marker.hidden = !held;
    if (held) {
      const at = bridge.loras.get(lora.name.toLowerCase());
      this.marker.replaceChildren(icon("check"), at === null || at === undefined ? "In prompt" : weight(at));
    }
    const action = mainAction(lora);
    this.action.textContent = action;
    this.element.setAttribute("aria-label", this.#label(lora, held, action));
  }

  #label(/** @type {Lora} */ lora, /** @type {boolean} */ held, /** @type {string} */ action) {
    const parts = [titleOf(lora), lora.base_model];
    if (lora.favorite) parts.push("favourite");
    if (lora.rating) parts.push(lora.rating === 1 ? "1 star" : `${lora.rating} stars`);
    if (lora.label) parts.push(`${lora.label} label`);
    if (lora.hidden) parts.push("hidden");
    if (held) parts.push("in the prompt");
    if (lora.state !== "ok") parts.push(STATE_NAMES[lora.state] ?? lora.state);
    parts.push(`Enter: ${action}`);
    return parts.join(", ");
  }

  #showPreview(/** @type {Lora} */ lora, /** @type {boolean} */ images) {
    const wanted = lora.preview ? `${lora.id}/${lora.preview.v}/${lora.preview.kind}` : "";
    if (wanted === this.shownPreview) return;
    this.#clearPreview();
    if (!lora.preview || !images) return;
    this.shownPreview = wanted;
    if (lora.preview.kind !== "video") this.image.src = previewUrl(lora);
    else {
      this.element.classList.add("film");
      const here = () => this.shownPreview === wanted;
      void still(lora, here).then((url) => {
        if (here() && url) this.image.src = url;
        else if (here()) this.letters.textContent = initials(titleOf(lora));
      });
    }
  }

  #clearPreview() {
    this.shownPreview = "";
    this.image.classList.remove("ready");
    this.image.removeAttribute("src");
    this.element.classList.remove("film");
    this.#stop();
  }

  /** A video runs, without sound, while the pointer is on its card. */
  #play() {
    const { lora } = this;
    if (lora?.preview?.kind !== "video" || this.video || calm.matches) return;
    this.video = h("video", { muted: true, loop: true, playsInline: true, tabIndex: -1, "aria-hidden": "true" });
    this.video.src = previewUrl(lora, true);
    this.image.after(this.video);
    this.video.play().catch(() => {}); // the pointer left before it began
  }

  #stop() {
    if (!this.video) return;
    this.video.removeAttribute("src");
    this.video.load(); // lets go of the connection
    this.video.remove();
    this.video = null;
  }
}
