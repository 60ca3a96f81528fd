// How strongly a LoRA changes each block of a model: bars with a two-level axis (IN · 00 01 …), and the same as a table.
import { h } from "../dom.js";
import { plural } from "../format.js";

/** @typedef {import("../types.js").Block} Block */
/** @typedef {import("../types.js").WeightPart} WeightPart */
/** @typedef {{name: string, blocks: Block[]}} Group blocks of one kind, side by side */

const ONE_ROW = 26;
const LABELLED = 26;

/** The model's part as people write it. */
export function partName(/** @type {string} */ name) {
  return name === "unet" ? "UNet" : name.charAt(0).toUpperCase() + name.slice(1);
}

/** 0.0001234 → "0.000123", 12.345 → "12.3" */
export function strengthText(/** @type {number|null} */ value) {
  if (value === null) return "not measured";
  if (value === 0) return "0";
  return value >= 0.001 && value < 10_000 ? String(Number(value.toPrecision(3))) : value.toExponential(2);
}

/** The bars of one part. */
export function partBars(/** @type {WeightPart} */ part) {
  const name = partName(part.name);
  const most = Math.max(...part.blocks.map((block) => block.strength ?? 0));
  const groups = grouped(part.blocks);
  const rows = part.blocks.length > ONE_ROW ? groups.map((group) => [group]) : [groups];
  const readout = h("span", { class: "bars-readout", "aria-hidden": "true" });
  const plain = `${plural(part.modules, "module")}${part.strength === null ? "" : `, ${strengthText(part.strength)} in all`}`;
  const say = (/** @type {Block|null} */ block) => (readout.textContent = block ? blockText(block) : plain);
  say(null);
  const bars = rows.flatMap((row) => row.flatMap((group) => group.blocks)).map((block) => bar(block, most));
  let at = 0;
  const charts = rows.map((row) => {
    const width = row.reduce((sum, group) => sum + group.blocks.length, 0);
    const columns = row.map((group) => `${group.blocks.length}fr`).join(" ");
    return h("div", { class: "bars-row", style: { "grid-template-columns": columns } }, ...row.map((group) => groupBars(group, bars.slice(at, (at += group.blocks.length)), width)));
  });
  const chart = h("div", { class: "bars", role: "group", "aria-label": `Strength by block, ${name}. Arrow keys move between the blocks` }, ...charts);
  walk(chart, bars, say);
  return h("div", { class: "part" }, h("div", { class: "part-head" }, h("h4", null, name), readout), chart, table(name, part));
}

const blockText = (/** @type {Block} */ block) => `${block.name}: ${block.modules ? `${strengthText(block.strength)}, ${plural(block.modules, "module")}` : "not touched"}`;

/** Blocks of one kind stand together: IN, MID, OUT; double, single. @returns {Group[]} */
function grouped(/** @type {Block[]} */ blocks) {
  /** @type {Group[]} */
  const groups = [];
  for (const block of blocks) {
    const name = block.name.replace(/ ?\d+$/, "");
    const last = groups.at(-1);
    if (last?.name === name) last.blocks.push(block);
    else groups.push({ name, blocks: [block] });
  }
  return groups;
}

/** @param {Group} group @param {HTMLElement[]} bars @param {number} width how many blocks stand in this row */
function groupBars(group, bars, width) {
  const every = width <= LABELLED ? 1 : 5;
  const numbers = group.blocks.map((block) => {
    const number = /\d+$/.exec(block.name)?.[0] ?? "";
    return h("span", null, number && Number(number) % every === 0 ? number : "");
  });
  const columns = { "grid-template-columns": `repeat(${group.blocks.length}, minmax(0, 1fr))` };
  return h(
    "div",
    { class: "bars-group" },
    h("div", { class: "bars-plot", style: columns }, ...bars),
    h("div", { class: "bars-numbers", style: columns, "aria-hidden": "true" }, ...numbers),
    h("div", { class: "bars-name", "aria-hidden": "true" }, group.name),
  );
}

function bar(/** @type {Block} */ block, /** @type {number} */ most) {
  const part = block.strength && most ? Math.max(0.02, block.strength / most) : 0;
  const kind = !block.modules ? " untouched" : block.strength === null ? " unknown" : "";
  const fill = h("span", { class: "bar-fill", style: { height: `${part * 100}%` } });
  const element = h("span", { class: `bar${kind}`, role: "img", tabIndex: -1, title: blockText(block), "aria-label": blockText(block) }, fill);
  return Object.assign(element, { block });
}

function walk(/** @type {HTMLElement} */ chart, /** @type {(HTMLElement & {block: Block})[]} */ bars, /** @type {(block: Block|null) => void} */ say) {
  const first = bars[0];
  if (first) first.tabIndex = 0;
  const of = (/** @type {EventTarget|null} */ target) => bars.find((one) => target instanceof Node && one.contains(target));
  chart.addEventListener("keydown", (event) => {
    const at = bars.findIndex((one) => one === document.activeElement);
    const steps = /** @type {Record<string, number>} */ ({ ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: bars.length - 1 });
    const to = bars[steps[event.key] ?? -1];
    if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    to?.focus();
  });
  chart.addEventListener("focusin", (event) => {
    const on = of(event.target);
    for (const one of bars) one.tabIndex = one === on ? 0 : -1;
    if (on) say(on.block);
  });
  chart.addEventListener("focusout", () => say(null));
  chart.addEventListener("pointerover", (event) => {
    const on = of(event.target);
    if (on) say(on.block);
  });
  chart.addEventListener("pointerleave", () => say(of(document.activeElement)?.block ?? null));
}

function table(/** @type {string} */ name, /** @type {WeightPart} */ part) {
  const rows = part.blocks.map((block) => h("tr", null, h("th", { scope: "row" }, block.name), h("td", null, block.modules ? strengthText(block.strength) : "–"), h("td", null, block.modules)));
  return h(
    "details",
    { class: "numbers" },
    h("summary", null, "Numbers"),
    h("table", { "aria-label": `Blocks of the ${name}` }, h("thead", null, h("tr", null, ...["Block", "Strength", "Modules"].map((text) => h("th", { scope: "col" }, text)))), h("tbody", null, ...rows)),
  );
}
