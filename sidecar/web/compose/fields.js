// The two text boxes: what is wrong is underlined behind the text and told below it, each with what mends it.
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { draft } from "./draft.js";
import { applied } from "./edits.js";
import { reader } from "./reader.js";
import { completeIn } from "./typing.js";

/** @typedef {import("../types.js").PromptProblem} Problem */
/** @typedef {import("./draft.js").Field} Name */

const MOST_MARKED = 60_000;
const MOST_TOLD = 30;
const SIGNS = /** @type {Record<string, import("../icons.js").IconName>} */ ({ error: "warn", warning: "warn", info: "info" });

export class PromptField {
  /** @param {Name} name @param {string} label @param {string} placeholder @param {number} rows */
  constructor(name, label, placeholder, rows) {
    this.name = name;
    this.box = h("textarea", { id: `compose-${name}`, rows, placeholder, spellcheck: false, autocapitalize: "off", autocomplete: "off", value: draft.state[name] });
    this.marks = h("div", { class: "compose-marks", "aria-hidden": "true" });
    this.told = h("ul", { class: "compose-problems", "aria-label": `Problems of the ${label.toLowerCase()}` });
    this.element = h("section", { class: `compose-field of-${name}` }, h("label", { for: this.box.id }, label), h("div", { class: "compose-text" }, this.marks, this.box), this.told);
    /** @type {Problem|null} the one that is pointed at */
    this.pointed = null;
    this.box.addEventListener("input", () => draft.set({ [name]: this.box.value }, { kind: `typing ${name}`, from: "typing" }));
    this.box.addEventListener("scroll", () => this.#follow());
    new ResizeObserver(() => this.#follow()).observe(this.box);
    completeIn(this.box, () => this.#caret());
  }

  /** The draft's text is another: show it, with the caret where it was. */
  take() {
    const text = draft.state[this.name];
    if (this.box.value === text) return;
    const focused = document.activeElement === this.box;
    const { selectionStart: from, selectionEnd: to } = this.box;
    this.box.value = text;
    if (focused) this.box.setSelectionRange(Math.min(from, text.length), Math.min(to, text.length));
    this.marks.replaceChildren();
  }

  /** What is known of the text has come. */
  draw() {
    const problems = reader.problems.filter(({ field }) => field === this.name);
    this.told.replaceChildren(...problems.slice(0, MOST_TOLD).map((problem) => this.#row(problem)));
    if (problems.length > MOST_TOLD) this.told.append(h("li", { class: "hint" }, `and ${problems.length - MOST_TOLD} more`));
    this.pointed = null;
    this.#mark(problems);
  }

  #row(/** @type {Problem} */ problem) {
    const fixes = problem.fixes.map((fix) => {
      const button = h("button", { class: "small-button", type: "button" }, fix.label);
      button.addEventListener("click", () => {
        const texts = { prompt: draft.state.prompt, negative_prompt: draft.state.negative_prompt };
        if (!reader.current) return;
        for (const name of /** @type {Name[]} */ (["prompt", "negative_prompt"])) texts[name] = applied(texts[name], fix.changes.filter(({ field }) => field === name));
        draft.set(texts, { from: "fix" });
        this.box.focus({ preventScroll: true });
      });
      return button;
    });
    const say = h("button", { class: "compose-say", type: "button", title: "Show the place" }, icon(SIGNS[problem.level] ?? "info"), h("span", { class: "offscreen" }, `${problem.level}: `), problem.message);
    say.addEventListener("click", () => {
      this.box.focus();
      this.box.setSelectionRange(problem.start, problem.end);
    });
    const row = h("li", { class: `compose-problem is-${problem.level}`, "data-code": problem.code }, say, ...fixes);
    const point = (/** @type {Problem|null} */ at) => () => {
      this.pointed = at;
      this.#mark(reader.problems.filter(({ field }) => field === this.name));
    };
    row.addEventListener("pointerenter", point(problem));
    row.addEventListener("pointerleave", point(null));
    row.addEventListener("focusin", point(problem));
    row.addEventListener("focusout", point(null));
    return row;
  }

  /** Underline the places of problems; the one that is pointed at is shaded. */
  #mark(/** @type {Problem[]} */ problems) {
    const text = this.box.value;
    if (!reader.current || text.length > MOST_MARKED) return this.marks.replaceChildren();
    const wanted = problems.filter((one) => one.end > one.start && (one.level !== "info" || one === this.pointed));
    const cuts = [...new Set([0, text.length, ...wanted.flatMap(({ start, end }) => [start, end])])].sort((a, b) => a - b);
    const parts = cuts.slice(0, -1).map((from, at) => {
      const to = cuts[at + 1] ?? text.length;
      const over = wanted.filter(({ start, end }) => start <= from && end >= to);
      if (!over.length) return document.createTextNode(text.slice(from, to));
      const level = over.some((one) => one.level === "error") ? "error" : over.some((one) => one.level === "warning") ? "warning" : "info";
      return h("mark", { class: this.pointed && over.includes(this.pointed) ? `is-${level} pointed` : `is-${level}` }, text.slice(from, to));
    });
    this.marks.replaceChildren(...parts, "\n");
    return this.#follow();
  }

  /** Where the caret stands on the page. */
  #caret() {
    const { box, marks } = this;
    if (!marks.textContent?.startsWith(box.value)) marks.replaceChildren(`${box.value}\n`);
    this.#follow();
    const range = document.createRange();
    const walker = document.createTreeWalker(marks, NodeFilter.SHOW_TEXT);
    let rest = box.selectionStart;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const { length } = node.textContent ?? "";
      if (rest <= length) {
        range.setStart(node, rest);
        break;
      }
      rest -= length;
    }
    const at = range.getBoundingClientRect();
    return at.height ? new DOMRect(at.left, at.top, 0, at.height) : box.getBoundingClientRect();
  }

  #follow() {
    this.marks.style.height = `${this.box.clientHeight}px`;
    this.marks.style.width = `${this.box.clientWidth}px`;
    this.marks.scrollTop = this.box.scrollTop;
  }
}
