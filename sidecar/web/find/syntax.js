// Help with the search's language: examples to click.
import { h } from "../dom.js";
import { popup } from "../popup.js";

const EXAMPLES = /** @type {[string, string][]} */ ([
  ["neon samurai", "both words, in any order; small typos are mended"],
  ['"neon samurai"', "exactly this"],
  ["tag:style -tag:style/ink", "a tag with all below it, but for one"],
  ["base:sdxl OR base:pony", "one or the other"],
  ["rating:>=4 used:never", "good ones not used yet"],
  ["weight:0.5..0.8", "preferred weight in a range"],
  ["size:>100mb added:<7d", "large, and new in the last seven days"],
  ["is:favorite -has:preview", "also is:missing, is:duplicate, has:notes, has:trigger …"],
  ["label:red (type:locon OR type:lokr)", "parentheses group"],
  ["nsfw:>=r", "pg, pg13, r, x, xxx"],
]);

/**
 * @param {HTMLElement} anchor
 * @param {(example: string) => void} use
 */
export function openSyntax(anchor, use) {
  const rows = EXAMPLES.map(([example, text]) =>
    h("button", { type: "button", onclick: () => (close(), use(example)) }, h("code", null, example), h("span", null, text)),
  );
  const content = h("div", { class: "syntax" }, h("h2", null, "How to search"), ...rows, h("p", { class: "hint" }, "Fields are offered while you type. A minus in front leaves out."));
  const close = popup(anchor, content, { label: "How to search", className: "syntax-popup" });
  rows[0]?.focus({ preventScroll: true });
}
