// The rows of the prompt's LoRAs, sets and draws, in their order, muted ones in their place.
import { request } from "../api.js";
import { attempt } from "../ask.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { sortable } from "../sets/reorder.js";
import { Chip, lookOf, nameOf } from "./chip.js";
import { draft } from "./draft.js";
import { applied, inserted, moved, reordered, toggled, withNamed, withWeight, without } from "./edits.js";
import { reader } from "./reader.js";

/** @typedef {import("../types.js").PromptTag} Tag */
/** @typedef {import("./draft.js").Muted} Muted */
/** @typedef {{look: string, element: HTMLElement, chip: Chip|null, muted: Muted|null}} Row a tag of the text, or a muted one */

const MOST = 200;

export class Chips {
  constructor() {
    this.list = h("ul", { class: "chip-rows", "aria-label": "LoRAs of the prompt" });
    this.note = h("p", { class: "hint chips-note" });
    this.none = h("p", { class: "chips-none" }, "LoRAs and sets that stand in the prompt are listed here, each with its weight and its words.");
    this.element = h("div", { class: "compose-chips" }, this.none, this.list, this.note);
    sortable(this.list, { handle: ".grip", moved: (from, to) => this.#move(from, to) });
    /** @type {Row[]} */
    this.rows = [];
    /** Which row has the focus after the next drawing. */
    this.focusAt = -1;
  }

  /** Show what was read. A row that looks as before stays, so that a slider can be dragged meanwhile. */
  draw() {
    const { list } = this;
    /** @type {Map<string, Row[]>} */
    const kept = new Map();
    for (const row of this.rows) kept.set(row.look, [...(kept.get(row.look) ?? []), row]);
    const rows = reader.chips.map((tag) => this.#rowOf(tag, kept));
    for (const muted of [...draft.state.muted].sort((a, b) => a.at - b.at)) rows.splice(Math.min(muted.at, rows.length), 0, this.#mutedRow(muted));
    this.rows = rows;
    const shown = rows.slice(0, MOST).map(({ element }) => element);
    this.none.hidden = rows.length > 0;
    this.note.textContent = rows.length > MOST ? `The first ${MOST} of ${rows.length}.` : "";
    this.note.hidden = !this.note.textContent;
    if (shown.length === list.children.length && shown.every((element, at) => element === list.children[at])) return;
    const before = focusIn(list);
    list.replaceChildren(...shown);
    if (this.focusAt >= 0) focusOn(list, { row: this.focusAt, selector: ".grip" });
    else if (before) focusOn(list, before);
    this.focusAt = -1;
  }

  /** @param {Tag} tag @param {Map<string, Row[]>} kept @returns {Row} */
  #rowOf(tag, kept) {
    const wrong = reader.problems.find(({ field, level, start, end }) => field === "prompt" && level === "error" && start >= tag.start && end <= tag.end && end > start);
    const look = lookOf(tag, wrong?.message ?? "");
    const row = kept.get(look)?.shift();
    if (row?.chip) {
      row.chip.show(tag);
      return row;
    }
    return this.#make(tag, look, wrong?.message ?? "");
  }

  /** @param {Tag} first @param {string} look @param {string} why @returns {Row} */
  #make(first, look, why) {
    /** Change the text with the tag as it is now; not while the text is ahead of what was read. @param {(prompt: string, tag: Tag) => Partial<import("./draft.js").State>} change @returns {() => void} */
    const edit = (change) => () => {
      if (reader.current) draft.set(change(draft.state.prompt, chip.tag));
    };
    /** @type {Chip} */
    const chip = new Chip(first, why, {
      weigh: (weight, kind) => weigh(chip.tag, weight, kind),
      range: (weights) => edit((prompt, tag) => ({ prompt: withWeight(prompt, tag, weights) }))(),
      number: (key, value) => edit((prompt, tag) => ({ prompt: withNamed(prompt, tag, key, value) }))(),
      word: (word) => {
        const field = word.negative ? "negative_prompt" : "prompt";
        draft.set({ [field]: toggled(draft.state[field], word.text, !word.present) });
      },
      mute: edit((prompt, tag) => {
        const at = this.rows.findIndex((one) => one.chip === chip);
        return { prompt: without(prompt, tag), muted: [...draft.state.muted, { text: prompt.slice(tag.start, tag.end), at }] };
      }),
      remove: edit((prompt, tag) => ({ prompt: without(prompt, tag) })),
      expand: () => void expand(chip.tag),
    });
    return { look, element: chip.element, chip, muted: null };
  }

  /** @param {Muted} muted @returns {Row} */
  #mutedRow(muted) {
    const name = muted.text.replace(/^<\w+:/, "").replace(/>$/, "");
    const grip = h("button", { class: "grip", type: "button", title: "Drag, or arrow keys", "aria-label": `Move ${name}` }, icon("grip"));
    const back = h("button", { class: "icon-button", type: "button", title: "Put it back into the text", "aria-label": `Unmute ${name}`, "aria-pressed": "true" }, icon("hide"));
    const remove = h("button", { class: "icon-button", type: "button", title: "Remove", "aria-label": `Remove ${name}` }, icon("close"));
    const others = () => draft.state.muted.filter((one) => one !== muted);
    remove.addEventListener("click", () => draft.set({ muted: others() }));
    back.addEventListener("click", () => {
      if (!reader.current) return;
      const at = this.rows.findIndex((row) => row.muted === muted);
      const next = this.rows.slice(at).find((row) => row.chip)?.chip?.tag;
      draft.set({ prompt: inserted(draft.state.prompt, muted.text, next, reader.chips), muted: others() });
    });
    const main = h("div", { class: "chip-main" }, h("s", null, name), h("div", { class: "chip-sub" }, "Muted"));
    const element = h("li", { class: "chip-row muted", "aria-label": `${name}, muted` }, h("div", { class: "chip-line" }, grip, h("span", { class: "thumb grey" }, icon("hide")), main, h("span", { class: "chip-weight none" }), h("div", { class: "chip-tools" }, back, remove)));
    return { look: "", element, chip: null, muted };
  }

  #move(/** @type {number} */ from, /** @type {number} */ to) {
    const row = this.rows[from];
    if (!row || !reader.current) return this.draw();
    const order = moved(this.rows, from, to);
    const muted = order.flatMap((one, at) => (one.muted ? [{ ...one.muted, at }] : []));
    let { prompt } = draft.state;
    if (row.chip) {
      const tags = reader.chips;
      prompt = reordered(prompt, tags, tags.indexOf(row.chip.tag), order.filter((one) => one.chip).indexOf(row));
    }
    this.focusAt = to;
    this.rows = []; // all are drawn anew when the text was read
    draft.set({ prompt, muted });
    return undefined;
  }
}

/** Give a tag another weight. Weights follow each other faster than the text is read: the places behind move along. */
export function weigh(/** @type {Tag} */ tag, /** @type {number|null} */ weight, /** @type {string} */ kind) {
  if (!reader.current) return;
  const before = draft.state.prompt;
  const after = withWeight(before, tag, weight);
  const grown = after.length - before.length;
  const had = tag.weight_end > tag.weight_start;
  for (const other of reader.tags) {
    if (other.field !== "prompt" || other.start <= tag.start) continue;
    for (const place of /** @type {const} */ (["start", "end", "weight_start", "weight_end"])) other[place] += grown;
  }
  tag.end += grown;
  if (!had) tag.weight_start += 1;
  tag.weight_end += grown;
  tag.weight = weight;
  reader.of = { ...reader.of, prompt: after };
  draft.set({ prompt: after }, { kind: kind && `${kind} of ${tag.start}`, from: "weight" });
}

/** What a set stands for, in its place. */
async function expand(/** @type {Tag} */ tag) {
  if (!reader.current) return;
  const { prompt, negative_prompt } = draft.state;
  const text = prompt.slice(tag.start, tag.end);
  const answer = await attempt(() => request("POST", "prompts/compose", { body: { prompt: text, negative_prompt } }), { failed: `${nameOf(tag)} was not expanded` });
  if (!answer || draft.state.prompt !== prompt) return;
  draft.set({ prompt: applied(prompt, [{ start: tag.start, end: tag.end, text: answer.prompt }]), negative_prompt: answer.negative_prompt });
}

/** Where the focus is among the rows, so that it is there again when they are drawn anew. @param {HTMLElement} list */
function focusIn(list) {
  const focused = document.activeElement;
  const row = focused?.closest("li");
  if (!focused || !row || !list.contains(row)) return null;
  const label = focused.getAttribute("aria-label");
  return { row: [...list.children].indexOf(row), selector: label ? `[aria-label="${CSS.escape(label)}"]` : ".word", text: focused.textContent ?? "" };
}

/** @param {HTMLElement} list @param {{row: number, selector: string, text?: string}} place */
function focusOn(list, { row, selector, text }) {
  const found = [...(list.children[row]?.querySelectorAll(selector) ?? [])];
  const target = found.find((one) => text && one.textContent === text) ?? found[0];
  if (target instanceof HTMLElement) target.focus({ preventScroll: true });
}
