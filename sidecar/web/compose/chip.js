// One LoRA, set or draw of the prompt as a row: picture, name, weight, words; what is done with it changes the text.
import { h } from "../dom.js";
import { hue, plural, titleOf } from "../format.js";
import { icon } from "../icons.js";
import { opener, thumb } from "../pages/parts.js";
import { Range, Weight } from "./weight.js";

/** @typedef {import("../types.js").PromptTag} Tag */

/**
 * @typedef {object} Calls
 * @property {(weight: number|null, kind: string) => void} weigh kind: changes of one kind are one step of undo
 * @property {(weights: [number, number]|null) => void} range
 * @property {(key: string, value: number|null) => void} number
 * @property {(word: import("../types.js").PromptWord) => void} word
 * @property {() => void} mute
 * @property {() => void} remove
 * @property {() => void} expand
 */

const NUMBERS = /** @type {[("te"|"unet"), string][]} */ ([["te", "Text encoder"], ["unet", "UNet"]]);
const MODES = { always: "added with the LoRA", ask: "", never: "never added by itself" };

/** What a tag is called. @param {Tag} tag */
export const nameOf = (tag) => (tag.lora ? titleOf(tag.lora) : tag.set ? tag.set.name : tag.name);

/** All that a row shows but for its weight: a row stays as long as this does. @param {Tag} tag @param {string} why */
export const lookOf = ({ kind, name, te, unet, lora, set, words }, why) => JSON.stringify([kind, name, te, unet, lora, set, words, why]);

export class Chip {
  /** @param {Tag} tag @param {string} why what is wrong with it, "" for nothing @param {Calls} calls */
  constructor(tag, why, calls) {
    this.tag = tag;
    this.calls = calls;
    const name = nameOf(tag);
    const grip = h("button", { class: "grip", type: "button", title: "Drag, or arrow keys", "aria-label": `Move ${name}` }, icon("grip"));
    const mute = h("button", { class: "icon-button", type: "button", title: "Mute: leave it out of the text for now", "aria-label": `Mute ${name}`, "aria-pressed": "false" }, icon("eye"));
    const remove = h("button", { class: "icon-button", type: "button", title: "Remove", "aria-label": `Remove ${name}` }, icon("close"));
    mute.addEventListener("click", calls.mute);
    remove.addEventListener("click", calls.remove);
    this.panel = h("div", { class: "chip-more", hidden: true });
    const main = h("div", { class: "chip-main" }, this.#title(name), h("div", { class: "chip-sub" }, ...this.#about(why)));
    this.weight = tag.kind === "draw" ? new Range(name, calls.range) : new Weight(name, tag.lora?.weight ?? 1, calls.weigh);
    const line = h("div", { class: "chip-line" }, grip, this.#picture(), main, this.weight.element, h("div", { class: "chip-tools" }, ...this.#more(name), mute, remove));
    this.element = h("li", { class: why ? "chip-row broken" : "chip-row", "data-name": tag.name, "aria-label": name }, line, this.#words(name), this.panel);
    this.show(tag);
  }

  /** The same tag, read again: its weight and its place may be others. @param {Tag} tag */
  show(tag) {
    this.tag = tag;
    if (this.weight instanceof Range) this.weight.show(tag.weights);
    else this.weight.show(tag.weight);
  }

  #picture() {
    const { lora, set, kind } = this.tag;
    if (lora) return thumb(lora);
    return h("span", { class: "thumb grey" }, icon(set ? "list" : kind === "draw" ? "search" : "question"));
  }

  #title(/** @type {string} */ name) {
    const { lora, set } = this.tag;
    if (lora) return opener(lora, name);
    return set ? h("a", { class: "opener", href: `#page=sets/${set.id}`, title: "Open the set" }, name) : h("strong", null, name);
  }

  /** @returns {import("../dom.js").Child[]} */
  #about(/** @type {string} */ why) {
    const { lora, set, kind } = this.tag;
    const base = lora?.base_model ?? set?.base_model;
    const degrees = base ? hue(base) : -1;
    const dot = base && h("span", { class: "chip-base" }, h("i", { class: degrees < 0 ? "dot grey" : "dot", style: { "--hue": Math.max(0, degrees) } }), base);
    const what = set ? `Set of ${plural(set.loras.length, "LoRA")}` : kind === "draw" ? "Drawn anew for each image" : null;
    return [what && h("span", null, what), dot, why && h("span", { class: "chip-why", title: why, role: "img", "aria-label": why }, icon("warn"))];
  }

  /** Other numbers, or a set's expansion, behind a button. @returns {HTMLElement[]} */
  #more(/** @type {string} */ name) {
    const { tag, calls, panel } = this;
    if (tag.kind === "set") {
      const expand = h("button", { class: "icon-button", type: "button", title: "Put what is in it in its place", "aria-label": `Expand ${name}` }, icon("layers"));
      expand.addEventListener("click", calls.expand);
      return tag.set ? [expand] : [];
    }
    if (tag.kind === "draw") return [];
    for (const [key, label] of NUMBERS) {
      const box = h("input", { type: "number", class: "chip-number", step: 0.05, value: tag[key] === null ? "" : String(tag[key]), placeholder: "same", "aria-label": `${label} of ${name}` });
      box.addEventListener("change", () => calls.number(key, box.value === "" ? null : Number(box.value)));
      panel.append(h("label", null, label, box));
    }
    panel.hidden = tag.te === null && tag.unet === null;
    const more = h("button", { class: "icon-button turns", type: "button", title: "Text encoder and UNet apart", "aria-label": `More of ${name}`, "aria-expanded": String(!panel.hidden) }, icon("down"));
    more.addEventListener("click", () => {
      panel.hidden = !panel.hidden;
      more.setAttribute("aria-expanded", String(!panel.hidden));
    });
    return [more];
  }

  #words(/** @type {string} */ name) {
    const { words } = this.tag;
    if (!words.length) return null;
    const titleOfWord = (/** @type {import("../types.js").PromptWord} */ { group, negative }) => group ?? (negative ? "Negative" : "");
    const titles = new Set(words.map(titleOfWord));
    const runs = [...titles].map((title) => {
      const label = title && titles.size > 1 && h("span", { class: "word-group" }, title);
      return h("div", { class: "words small" }, label, ...words.filter((word) => titleOfWord(word) === title).map((word) => this.#toggle(word)));
    });
    return h("div", { class: "chip-words", role: "group", "aria-label": `Trigger words of ${name}` }, ...runs);
  }

  #toggle(/** @type {import("../types.js").PromptWord} */ word) {
    const about = [word.negative ? "for the negative prompt" : "", MODES[word.mode]].filter(Boolean).join(", ");
    const toggle = h("button", { class: word.present ? "word on" : "word", type: "button", "aria-pressed": String(word.present), title: about }, icon(word.present ? "check" : word.negative ? "minus" : "plus"), word.text);
    toggle.addEventListener("click", () => this.calls.word(word));
    return toggle;
  }
}
