// Where a value comes from: a small badge, and behind it what every source says, each to be taken over with a click.
import { h } from "../dom.js";
import { asText } from "./edit.js";
import { sourceName } from "../format.js";
import { icon } from "../icons.js";
import { popup } from "../popup.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {import("../types.js").Candidate} Candidate */

/**
 * @param {string} label of the field
 * @param {string} name of the field
 * @param {(value: unknown) => void} use saves a value as the user's; null is what the files say
 */
export function sourceBadge(label, name, use) {
  const badge = h("button", { class: "source", type: "button", "aria-haspopup": "dialog", "aria-expanded": "false", hidden: true });
  /** @type {Detail|null} */
  let shown = null;
  badge.addEventListener("click", () => shown && openSources(badge, label, shown.sources[name] ?? "", shown.values?.[name] ?? [], use));
  return {
    element: badge,
    update(/** @type {Detail} */ detail) {
      shown = detail;
      const from = detail.sources[name];
      badge.hidden = !from;
      if (!from) return;
      const others = (detail.values?.[name]?.length ?? 1) - 1;
      badge.textContent = sourceName(from);
      badge.disabled = !detail.values?.[name]?.length;
      badge.title = others > 0 ? `${label}: ${sourceName(from)}. Show what the other sources say` : `${label}: ${sourceName(from)}`;
    },
  };
}

/**
 * @param {HTMLElement} anchor
 * @param {string} label
 * @param {string} present the source that wins now
 * @param {Candidate[]} candidates strongest first
 * @param {(value: unknown) => void} use
 */
function openSources(anchor, label, present, candidates, use) {
  const strongest = candidates.find(({ source }) => source !== "user"); // comes by itself when the user's own word goes
  const rows = candidates.map((one) => {
    const chosen = one.source === present;
    const take = h("button", { class: "small-button", type: "button", "aria-label": `Use what ${sourceName(one.source)} says` }, "Use this");
    take.addEventListener("click", () => {
      close();
      use(one === strongest ? null : one.value);
    });
    return h(
      "li",
      { class: chosen ? "candidate chosen" : "candidate" },
      h("div", null, h("span", { class: "candidate-source" }, sourceName(one.source)), h("span", { class: "candidate-value" }, asText(one.value)), one.reason && h("span", { class: "hint" }, one.reason)),
      chosen ? h("span", { class: "in-use" }, icon("check"), "In use") : take,
    );
  });
  const close = popup(anchor, h("div", { class: "candidates" }, h("h3", null, label), h("ul", null, ...rows)), { label: `Sources of ${label}` });
}
