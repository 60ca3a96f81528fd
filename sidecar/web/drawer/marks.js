// The marks a user gives at a glance: rating, colour label, NSFW level, hidden. Each is set with one click.
import { ApiError, editLora } from "../api.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { library } from "../library.js";
import { openMenu } from "../popup.js";
import { toast } from "../toast.js";
import { sourceName } from "../format.js";
import { sourceBadge } from "./sources.js";

/** @typedef {import("../types.js").Lora} Lora */
/** @typedef {import("../types.js").Detail} Detail */

export const LABELS = ["red", "orange", "yellow", "green", "blue", "purple", "gray"];
/** @type {[number, string][]} */
export const LEVELS = [[0, "NSFW unknown"], [1, "PG"], [2, "PG-13"], [4, "R"], [8, "X"], [16, "XXX"]];
const STARS = [1, 2, 3, 4, 5];

const capital = (/** @type {string} */ text) => text.charAt(0).toUpperCase() + text.slice(1);

export class Marks {
  /** @param {(detail: Detail) => void} saved gets the sidecar's answer */
  constructor(saved) {
    this.saved = saved;
    /** @type {Lora|null} */
    this.lora = null;
    this.stars = STARS.map((value) => h("span", { class: "rate-star", "data-value": value }, icon("star")));
    this.rating = h("div", { class: "rating", role: "slider", tabIndex: 0, "aria-label": "Rating", "aria-valuemin": 0, "aria-valuemax": 5, title: "Rating: 0 to 5" }, ...this.stars);
    this.swatch = h("span", { class: "swatch" });
    this.labelText = h("span", null, "Label");
    this.label = h("button", { class: "mark-button", type: "button", "aria-haspopup": "menu", "aria-expanded": "false" }, this.swatch, this.labelText);
    this.level = h("select", { class: "mark-select", "aria-label": "NSFW level", title: "NSFW level" }, ...LEVELS.map(([value, text]) => h("option", { value }, text)));
    this.levelSource = sourceBadge("NSFW level", "nsfw", (value) => void this.#set("nsfw", value));
    this.hide = h("button", { class: "mark-button icon-only", type: "button" });
    this.element = h("div", { class: "marks", role: "group", "aria-label": "Marks" }, this.rating, this.label, h("span", { class: "level" }, this.level, this.levelSource.element), this.hide);
    this.rating.addEventListener("click", (event) => this.#clickStar(event));
    this.rating.addEventListener("keydown", (event) => this.#keyStar(event));
    this.label.addEventListener("click", () => this.#chooseLabel());
    this.level.addEventListener("change", () => void this.#set("nsfw", Number(this.level.value)));
    this.hide.addEventListener("click", () => void this.#set("hidden", !this.lora?.hidden));
  }

  update(/** @type {Lora} */ lora) {
    this.lora = lora;
    const rating = lora.rating ?? 0;
    for (const [at, star] of this.stars.entries()) star.classList.toggle("on", at < rating);
    this.rating.setAttribute("aria-valuenow", String(rating));
    this.rating.setAttribute("aria-valuetext", rating ? `${rating} of 5 stars` : "Not rated");
    this.swatch.className = `swatch ${lora.label ?? "none"}`;
    this.labelText.textContent = lora.label ? capital(lora.label) : "Label";
    this.label.setAttribute("aria-label", `Colour label: ${lora.label ?? "none"}`);
    this.level.value = String(lora.nsfw ?? 0);
    this.levelSource.element.hidden = !("sources" in lora);
    if ("sources" in lora) {
      const detail = /** @type {Detail} */ (lora);
      const from = detail.sources["rating"];
      this.rating.title = from && from !== "user" ? `Rating, from ${sourceName(from)}: 0 to 5` : "Rating: 0 to 5";
      this.levelSource.update(detail);
      if (detail.sources["nsfw"] === "user" && (detail.values?.["nsfw"]?.length ?? 0) < 2) this.levelSource.element.hidden = true;
    }
    this.hide.replaceChildren(icon(lora.hidden ? "hide" : "eye"));
    this.hide.setAttribute("aria-pressed", String(Boolean(lora.hidden)));
    this.hide.setAttribute("aria-label", "Hidden");
    this.hide.title = lora.hidden ? "Hidden from the library. Show it again" : "Hide from the library (find it again with is:hidden)";
  }

  #clickStar(/** @type {MouseEvent} */ event) {
    const star = event.target instanceof Element ? event.target.closest(".rate-star") : null;
    if (star instanceof HTMLElement) this.#rate(Number(star.dataset["value"]));
  }

  #rate(/** @type {number} */ value) {
    void this.#set("rating", value === (this.lora?.rating ?? 0) ? null : value || null);
  }

  #keyStar(/** @type {KeyboardEvent} */ event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const now = this.lora?.rating ?? 0;
    const steps = /** @type {Record<string, number>} */ ({ ArrowRight: now + 1, ArrowUp: now + 1, ArrowLeft: now - 1, ArrowDown: now - 1, Home: 0, End: 5, Delete: 0, Backspace: 0 });
    const wanted = /^[0-5]$/.test(event.key) ? Number(event.key) : steps[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const value = Math.max(0, Math.min(5, wanted));
    if (value !== now) void this.#set("rating", value || null);
  }

  #chooseLabel() {
    const now = this.lora?.label ?? null;
    const item = (/** @type {string|null} */ value) => ({
      label: value ? capital(value) : "None",
      mark: h("span", { class: `swatch ${value ?? "none"}` }),
      checked: value === now,
      run: () => void this.#set("label", value),
    });
    openMenu(this.label, "Colour label", [item(null), ...LABELS.map(item)]);
  }

  /**
   * Show it at once, save it, and take it back when the sidecar refuses.
   * @param {"rating"|"label"|"nsfw"|"hidden"} name
   * @param {any} value
   */
  async #set(name, value) {
    const { lora } = this;
    if (!lora) return;
    const before = lora[name];
    const show = (/** @type {any} */ one) => {
      Reflect.set(lora, name, one);
      library.patch(lora.id, { [name]: one });
      if (this.lora?.id === lora.id) this.update(lora);
    };
    show(value);
    try {
      const detail = await editLora(lora.id, { [name]: value, was: { [name]: before ?? null } });
      library.patch(lora.id, detail);
      this.saved(detail);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const theirs = error.status === 409 && error.detail && name in error.detail;
      show(theirs ? error.detail[name] : before);
      const again = { label: theirs ? "Set mine" : "Retry", run: () => void this.#set(name, value) };
      toast(theirs ? "Somebody else changed this meanwhile." : `Not saved: ${error.message}`, { kind: "error", action: again });
    }
  }
}
