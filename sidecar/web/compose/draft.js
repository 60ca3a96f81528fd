// The prompt that is being composed: its two texts and its muted LoRAs, with undo, kept in this browser.
import { Emitter, debounce } from "../dom.js";

/**
 * @typedef {{text: string, at: number}} Muted a tag that is left out of the text; at: its place among the chips
 * @typedef {{prompt: string, negative_prompt: string, muted: Muted[]}} State
 * @typedef {"prompt"|"negative_prompt"} Field
 */

const KEPT = "compose-draft";
const STEPS = 200;
/** Changes of one kind that follow each other within this many milliseconds are one step of undo. */
const TOGETHER = 900;
const MOST_KEPT = 200_000;

/** @returns {State} */
const empty = () => ({ prompt: "", negative_prompt: "", muted: [] });

/** Emits "change" {from} when its texts or muted LoRAs are others; from: who changed them. */
class Draft extends Emitter {
  constructor() {
    super();
    this.state = restored();
    /** @type {State[]} */
    this.past = [];
    /** @type {State[]} */
    this.future = [];
    this.last = { kind: "", at: 0 };
    this.keep = debounce(() => store(this.state), 300);
    window.addEventListener("pagehide", () => store(this.state));
  }

  /**
   * Change some of it, as one step of undo; changes of the same `kind` right after each other are one.
   * @param {Partial<State>} change
   * @param {{kind?: string, from?: string}} [options]
   */
  set(change, { kind = "", from = "" } = {}) {
    const next = { ...this.state, ...change };
    if (same(next, this.state)) return;
    const now = performance.now();
    const goesOn = kind !== "" && kind === this.last.kind && now - this.last.at < TOGETHER;
    if (!goesOn) {
      this.past.push(this.state);
      this.past.splice(0, this.past.length - STEPS);
    }
    this.last = { kind, at: now };
    this.future = [];
    this.#become(next, from);
  }

  undo() {
    const before = this.past.pop();
    if (!before) return;
    this.future.push(this.state);
    this.last.kind = "";
    this.#become(before, "undo");
  }

  redo() {
    const after = this.future.pop();
    if (!after) return;
    this.past.push(this.state);
    this.last.kind = "";
    this.#become(after, "undo");
  }

  /** @param {State} state @param {string} from */
  #become(state, from) {
    this.state = state;
    this.keep();
    this.emit("change", { from });
  }
}

/** @param {State} a @param {State} b */
const same = (a, b) => a.prompt === b.prompt && a.negative_prompt === b.negative_prompt && JSON.stringify(a.muted) === JSON.stringify(b.muted);

/** @returns {State} */
function restored() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "");
    const muted = Array.isArray(kept.muted) ? kept.muted.filter((/** @type {any} */ one) => typeof one?.text === "string" && Number.isInteger(one.at)) : [];
    return { prompt: String(kept.prompt ?? ""), negative_prompt: String(kept.negative_prompt ?? ""), muted };
  } catch {
    return empty();
  }
}

/** @param {State} state */
function store(state) {
  if (state.prompt.length + state.negative_prompt.length > MOST_KEPT) return;
  try {
    localStorage.setItem(KEPT, JSON.stringify(state));
  } catch {
    // a full or forbidden storage costs only that the draft is gone with the page
  }
}

export const draft = new Draft();
