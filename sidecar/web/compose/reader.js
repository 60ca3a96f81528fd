// What the sidecar sees in the prompt: tags and problems, asked for while it is typed. The latest text wins.
import { ApiError, request } from "../api.js";
import { Emitter, debounce } from "../dom.js";
import { draft } from "./draft.js";

/** @typedef {import("../types.js").PromptTag} Tag */
/** @typedef {import("../types.js").PromptProblem} Problem */

const WAIT = 120;
const PLACES = /** @type {const} */ (["start", "end", "weight_start", "weight_end"]);

/** Emits "read" when tags and problems belong to the draft's text, "trouble" {message} when they cannot be had. */
class Reader extends Emitter {
  constructor() {
    super();
    /** @type {Tag[]} */
    this.tags = [];
    /** @type {Problem[]} */
    this.problems = [];
    this.sum = 0;
    /** The texts that tags and problems are of. */
    this.of = { prompt: "", negative_prompt: "" };
    this.running = new AbortController();
    this.soon = debounce(() => void this.read(), WAIT);
  }

  /** Whether what is known is of the draft as it is now. */
  get current() {
    return this.of.prompt === draft.state.prompt && this.of.negative_prompt === draft.state.negative_prompt;
  }

  /** Tags of the prompt itself, in order. */
  get chips() {
    return this.tags.filter(({ field }) => field === "prompt");
  }

  /** Nobody looks any more. */
  stop() {
    this.soon.cancel();
    this.running.abort();
  }

  async read() {
    this.running.abort();
    this.running = new AbortController();
    const { signal } = this.running;
    const { prompt, negative_prompt } = draft.state;
    try {
      const answer = await request("POST", "prompts/lint", { body: { prompt, negative_prompt }, signal });
      if (signal.aborted || prompt !== draft.state.prompt || negative_prompt !== draft.state.negative_prompt) return; // asked again already
      const units = { prompt: unitsOf(prompt), negative_prompt: unitsOf(negative_prompt) };
      this.of = { prompt, negative_prompt };
      this.tags = answer.tags.map((/** @type {Tag} */ tag) => converted(tag, units[tag.field]));
      this.problems = answer.problems.map((/** @type {Problem} */ one) => ({
        ...converted(one, units[one.field]),
        fixes: one.fixes.map((fix) => ({ ...fix, changes: fix.changes.map((change) => converted(change, units[change.field])) })),
      }));
      this.sum = answer.sum;
      this.emit("read");
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.emit("trouble", error.message);
    }
  }
}

/** How a text's characters count in UTF-16 units, which text boxes count in. @param {string} text @returns {(place: number) => number} */
export function unitsOf(text) {
  if (!/[\ud800-\udbff]/.test(text)) return (place) => place;
  const starts = [0];
  let at = 0;
  for (const character of text) {
    at += character.length;
    starts.push(at);
  }
  return (place) => starts[place] ?? text.length;
}

/** @template {object} T @param {T} one @param {(place: number) => number} units @returns {T} */
function converted(one, units) {
  const places = PLACES.filter((name) => name in one).map((name) => [name, units(Number(Reflect.get(one, name)))]);
  return { ...one, ...Object.fromEntries(places) };
}

export const reader = new Reader();
