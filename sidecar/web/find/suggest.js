// The search box's own: completion of the query, the place where it cannot be read, and help with its language.
import { ApiError, request } from "../api.js";
import { Combo } from "../combo.js";
import { find, h } from "../dom.js";
import { count } from "../format.js";
import { icon } from "../icons.js";
import { library } from "../library.js";
import { query } from "../query.js";
import { openSyntax } from "./syntax.js";
import { sentQuery } from "./text.js";

/** @typedef {import("../types.js").Suggestion} Suggestion */
/** @typedef {{start: number, end: number, items: Suggestion[]}} Completion */

/** An unfinished word is no mistake yet. */
const PATIENCE = 700;

/** The sidecar counts characters, the page UTF-16 units. */
const unitsOf = (/** @type {string} */ text, /** @type {number} */ characters) => [...text].slice(0, characters).join("").length;
const charactersOf = (/** @type {string} */ text, /** @type {number} */ units) => [...text.slice(0, units)].length;

/** A field with the beginning of its value, before the cursor. */
const UNFINISHED = /(?:^|[\s(])-?[a-z_]+:[^\s"()]*$/i;

/**
 * @param {object} calls
 * @param {() => void} calls.search runs the search for what stands in the box
 * @param {(whole: boolean) => void} calls.written after a look at the term at the cursor: is it one, or the beginning of others?
 * @returns {() => boolean} does the cursor stand in a term that may have to be written to its end? `written` tells in a moment
 */
export function startSuggestions({ search, written }) {
  /** @type {HTMLInputElement} */
  const box = find("#search");
  /** @type {Completion} */
  let last = { start: 0, end: 0, items: [] };
  const combo = new Combo(box, {
    label: "Suggestions",
    className: "for-search",
    ask: async (text, caret) => {
      if (!text.slice(0, caret).trim()) return [];
      try {
        const at = charactersOf(text, caret);
        last = await request("GET", `library/complete?${new URLSearchParams({ q: text, at: String(at) })}`);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        written(true);
        return []; // a search without suggestions is a search all the same
      }
      const typed = text.slice(unitsOf(text, last.start), unitsOf(text, last.end));
      const whole = last.items.some((item) => item.text.toLowerCase() === typed.toLowerCase());
      written(whole || !last.items.length);
      return whole && last.items.length === 1 ? [] : last.items;
    },
    draw: (item) => [
      h("span", { class: "suggest-kind" }, item.kind === "name" ? icon("image") : item.kind === "tag" ? icon("tag") : null),
      h("span", { class: item.kind === "field" ? "suggest-text of-field" : "suggest-text" }, item.kind === "field" ? item.text : item.value),
      h("span", { class: "suggest-hint" }, item.kind === "field" ? item.label : item.count === null ? "" : count(item.count)),
    ],
    choose: (item) => {
      const from = unitsOf(box.value, last.start);
      const to = unitsOf(box.value, last.end);
      const rest = box.value.slice(to);
      const text = item.kind === "field" || rest.startsWith(" ") ? item.text : `${item.text} `;
      box.value = box.value.slice(0, from) + text + rest;
      const caret = from + text.length + (rest.startsWith(" ") && item.kind !== "field" ? 1 : 0);
      box.setSelectionRange(caret, caret);
      box.dispatchEvent(new Event("input", { bubbles: true }));
      if (item.kind === "field") combo.ask(0);
      else combo.close();
    },
  });
  startMarker(box, combo);
  startHelp(box, combo, search);
  return () => UNFINISHED.test(box.value.slice(0, box.selectionStart ?? box.value.length));
}

function startHelp(/** @type {HTMLInputElement} */ box, /** @type {Combo<any>} */ combo, /** @type {() => void} */ search) {
  const help = find("#syntax");
  help.addEventListener("mousedown", (event) => event.preventDefault());
  help.addEventListener("click", () => {
    combo.close();
    openSyntax(help, (example) => {
      box.value = example;
      box.focus();
      search();
    });
  });
}

/** Underline what cannot be read, and say why: at once when the box was left, else when the typing pauses. */
function startMarker(/** @type {HTMLInputElement} */ box, /** @type {Combo<any>} */ combo) {
  const before = h("span", null);
  const place = h("mark", null);
  const mirror = h("div", { class: "search-mirror", "aria-hidden": "true" }, before, place);
  const line = find("#misread");
  box.after(mirror);
  let timer = 0;
  let typedAt = 0;
  const clear = () => {
    clearTimeout(timer);
    mirror.hidden = true;
    box.removeAttribute("aria-invalid");
    combo.say();
  };
  const show = () => {
    const { bad } = library;
    line.hidden = !bad || document.activeElement === box;
    if (!bad) return;
    line.replaceChildren(icon("warn"), bad.message);
    line.title = "Show the place";
    const typed = box.value;
    const leading = typed.length - typed.trimStart().length;
    const { shift } = sentQuery(query.filters);
    const start = unitsOf(typed, Math.max(0, (bad.detail?.start ?? 0) - shift) + leading);
    const end = Math.max(start, unitsOf(typed, Math.max(0, (bad.detail?.end ?? 0) - shift) + leading));
    before.textContent = typed.slice(0, start);
    place.textContent = typed.slice(start, end) || "\u00a0";
    mirror.hidden = false;
    mirror.scrollLeft = box.scrollLeft;
    box.setAttribute("aria-invalid", "true");
    combo.say(h("p", { class: "misread", role: "alert" }, icon("warn"), h("span", null, bad.message)));
  };
  box.addEventListener("input", () => {
    typedAt = performance.now();
    clear();
  });
  box.addEventListener("scroll", () => (mirror.scrollLeft = box.scrollLeft));
  box.addEventListener("blur", () => library.bad && show());
  box.addEventListener("focus", () => library.bad && show());
  line.addEventListener("click", () => {
    const start = before.textContent?.length ?? 0;
    box.focus();
    box.setSelectionRange(start, start + (place.textContent?.length ?? 0));
  });
  library.on("bad", (bad) => {
    clear();
    if (!bad) return void (line.hidden = true);
    const rest = typedAt + PATIENCE - performance.now();
    timer = window.setTimeout(show, document.activeElement === box ? Math.max(0, rest) : 0);
    return undefined;
  });
  clear();
}
