// What a set was before: every save with its date and what it changed, each to be made the newest again.
import { request } from "../api.js";
import { attempt, openDialog } from "../ask.js";
import { h } from "../dom.js";
import { count, when } from "../format.js";
import { icon } from "../icons.js";
import { fill } from "../pages/parts.js";
import { toast } from "../toast.js";
import { differences } from "./diff.js";

/** @typedef {import("../types.js").LoraSet} LoraSet */

const SHOWN = 6;

/**
 * @param {LoraSet} set
 * @param {{dirty: boolean, restored: (set: LoraSet) => void}} options dirty: there are changes that a restore would drop
 */
export function openVersions(set, { dirty, restored }) {
  const list = h("ol", { class: "versions" });
  const text = dirty ? "Restoring drops what you have changed and not saved. Nothing else is lost: the set as it is now stays in this list." : "Restoring makes a new version that says the same as the old one, so nothing is lost.";
  const dialog = openDialog(`Versions of ${set.name}`, [h("p", { class: "hint" }, text), list]);
  void fill(list, () => request("GET", `sets/${set.id}/versions`), ({ items }) => {
    const restore = async (/** @type {LoraSet} */ one, /** @type {HTMLButtonElement} */ button) => {
      const answer = await attempt(() => request("POST", `sets/${set.id}/restore`, { body: { version: one.version } }), { button, failed: "Not restored" });
      if (!answer) return;
      dialog.close();
      toast(`Version ${one.version} is back, as version ${answer.version}.`);
      restored(answer);
    };
    list.replaceChildren(...items.map((/** @type {LoraSet} */ one, /** @type {number} */ at) => row(one, items[at + 1], one.version === set.version, restore)));
  });
}

/**
 * @param {LoraSet} one
 * @param {LoraSet|undefined} before
 * @param {boolean} current
 * @param {(one: LoraSet, button: HTMLButtonElement) => void} restore
 */
function row(one, before, current, restore) {
  const changes = before ? differences(before, one) : ["made"];
  const lines = changes.length ? changes.slice(0, SHOWN) : ["nothing changed"];
  if (changes.length > SHOWN) lines.push(`and ${count(changes.length - SHOWN)} more`);
  const button = h("button", { class: "small-button", type: "button", "aria-label": `Restore version ${one.version}` }, icon("undo"), "Restore");
  button.addEventListener("click", () => restore(one, button));
  return h(
    "li",
    { class: "version" },
    h("div", { class: "version-head" }, h("strong", null, `Version ${one.version}`), h("span", { class: "hint" }, when(one.created)), current ? h("span", { class: "in-use" }, icon("check"), "Now") : button),
    h("ul", null, ...lines.map((line) => h("li", null, line))),
  );
}
