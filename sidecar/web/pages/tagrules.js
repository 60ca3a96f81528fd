// The rules of tags: what files call something, and what it is shown as; each can be taken back.
import { request } from "../api.js";
import { attempt } from "../ask.js";
import { h } from "../dom.js";
import { count } from "../format.js";
import { icon } from "../icons.js";
import { offerUndo } from "../undo.js";
import { fill, nothing } from "./parts.js";

/** @typedef {{name: string, becomes: string|null}} Rule */

const SHOWN = 1000;

/** @param {HTMLElement} place @param {string} wanted only rules with this in them */
export async function drawRules(place, wanted) {
  await fill(place, () => request("GET", "tags/rules"), ({ items }) => show(place, items, wanted));
}

/** @param {HTMLElement} place @param {Rule[]} items @param {string} wanted */
function show(place, items, wanted) {
  const lower = wanted.toLowerCase();
  const rules = items.filter(({ name, becomes }) => `${name} ${becomes ?? ""}`.toLowerCase().includes(lower));
  const again = () => void drawRules(place, wanted);
  const rows = rules.slice(0, SHOWN).map((rule) => row(rule, again));
  const none = wanted ? `No rule has “${wanted}” in it.` : "Renaming, merging or taking away a tag makes one, so that files that come later follow it.";
  place.replaceChildren(
    h("p", { class: "page-note" }, "When you rename a tag, or take it away, files keep what they say; a rule shows it your way, for files that come as well."),
    h("div", { class: "tag-rows", role: "list", "aria-label": "Rules" }, ...(rows.length ? rows : [nothing("tag", wanted ? "Nothing found" : "No rules yet", [none])])),
  );
  if (rules.length > SHOWN) place.append(h("p", { class: "hint" }, `and ${count(rules.length - SHOWN)} more; search for them above.`));
}

function row(/** @type {Rule} */ { name, becomes }, /** @type {() => void} */ again) {
  const back = h("button", { class: "small-button", type: "button" }, icon("undo"), "Take back");
  back.addEventListener("click", async () => {
    const path = name.split("/").map(encodeURIComponent).join("/");
    const answer = await attempt(() => request("DELETE", `tags/rules/${path}`), { button: back, failed: "Not taken back" });
    if (!answer) return;
    offerUndo(answer, `${name} is shown as it is again`);
    again();
  });
  return h("div", { class: "rule-row", role: "listitem" }, h("span", { class: "rule-from" }, name), icon("right"), becomes === null ? h("span", { class: "hint" }, "not shown") : h("strong", null, becomes), back);
}
