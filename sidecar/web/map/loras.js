// What the map shows of single LoRAs: a card at the pointer, a list of those selected.
import { ApiError, request } from "../api.js";
import { h } from "../dom.js";
import { count, hue, titleOf } from "../format.js";
import { opener, thumb } from "../pages/parts.js";

/** @typedef {import("../types.js").Lora} Lora */
/** @typedef {import("./camera.js").Camera} Camera */

const KEPT = 2000;
const LISTED = 200;
const SOON = 60;

/** @type {Map<number, Lora>} */
const known = new Map();

/** Forget what is known: it may have changed. */
export const forget = () => known.clear();

/** A LoRA that was read already. */
export const recall = (/** @type {number} */ id) => known.get(id);

/** LoRAs by id, those that are there in this order. @returns {Promise<Lora[]>} @throws {ApiError} */
export async function read(/** @type {number[]} */ ids) {
  const missing = ids.filter((id) => !known.has(id));
  if (missing.length) {
    const { items } = await request("POST", "recommendations/map/loras", { body: { ids: missing } });
    if (known.size > KEPT) known.clear();
    for (const item of items) known.set(item.id, item);
  }
  return ids.flatMap((id) => known.get(id) ?? []);
}

/** The card of the LoRA that is pointed at. */
export class HoverCard {
  constructor() {
    this.element = h("div", { class: "map-card", role: "status", hidden: true });
    this.id = 0;
    this.timer = 0;
  }

  /** @param {number} id @param {{x: number, y: number}} at in the window @param {Camera} camera */
  show(id, at, camera) {
    this.place = { at, camera };
    if (id === this.id) return this.#move();
    this.hide();
    this.id = id;
    const draw = async () => {
      try {
        const [lora] = await read([id]);
        if (this.id === id && lora) this.#draw(lora);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error; // the point stays without a card
      }
    };
    if (known.has(id)) return void draw();
    this.timer = window.setTimeout(() => void draw(), SOON);
    return undefined;
  }

  hide() {
    clearTimeout(this.timer);
    this.id = 0;
    this.element.hidden = true;
  }

  #draw(/** @type {Lora} */ lora) {
    const degrees = hue(lora.base_model);
    const words = lora.trigger_words.slice(0, 4).join(", ");
    this.element.replaceChildren(
      thumb(lora),
      h(
        "div",
        { class: "map-card-text" },
        h("strong", null, titleOf(lora)),
        h("span", { class: degrees < 0 ? "base grey" : "base", style: { "--hue": Math.max(0, degrees) } }, lora.base_model),
        words ? h("span", { class: "map-card-words" }, words) : null,
        lora.tags.length ? h("span", { class: "hint" }, lora.tags.slice(0, 6).join(" · ")) : null,
      ),
    );
    this.element.hidden = false;
    this.#move();
  }

  #move() {
    if (!this.place || this.element.hidden) return;
    const { at, camera } = this.place;
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const right = at.x + 16 + width < camera.width - camera.inset;
    this.element.style.left = `${Math.max(8, right ? at.x + 16 : at.x - 16 - width)}px`;
    this.element.style.top = `${Math.max(8, Math.min(camera.height - height - 8, at.y - height / 2))}px`;
  }
}

/** The selected LoRAs in words, for those who cannot or would not look at points. */
export async function list(/** @type {number[]} */ ids) {
  const shown = await read(ids.slice(0, LISTED));
  const rows = shown.map((lora) => h("li", null, thumb(lora), h("div", { class: "row-main" }, opener(lora), h("span", { class: "hint" }, [lora.base_model, ...lora.tags.slice(0, 4)].join(" · ")))));
  const more = ids.length > shown.length ? h("p", { class: "hint" }, `and ${count(ids.length - shown.length)} more`) : null;
  return h("div", { class: "map-list" }, h("ul", null, ...rows), more);
}
