// The page of duplicates: four kinds, each group with the copy that is worth keeping, chosen and resolved by the user.
import { ApiError, request } from "../api.js";
import { attempt } from "../ask.js";
import { find, h, throttle } from "../dom.js";
import { live } from "../events.js";
import { bytes, count, plural } from "../format.js";
import { fill, nothing } from "../pages/parts.js";
import { undoing } from "../undo.js";
import { resolveAll } from "./all.js";
import { groupCard } from "./group.js";

/** @typedef {import("../types.js").DuplicateGroup} Group */
/** @typedef {Group["kind"]} Kind */

/** @type {[Kind, string, string][]} */
const KINDS = [
  ["file", "Same file", "The same bytes, to the last one. Nothing is lost when one of them stays."],
  ["weights", "Same weights", "The same tensors under different headers: renamed, re-tagged or downloaded from elsewhere. They make the same pictures."],
  ["resaved", "Saved anew", "The same weights in another number format, key order or rank. Pictures may differ a little; the one of the highest rank and precision is suggested."],
  ["near", "Nearly the same", "LoRAs of their own whose weights are much alike: another epoch of one training, a merge, another rank. Their pictures differ; look before one goes."],
];
const LIKENESSES = [0.8, 0.9, 0.95, 0.98, 0.99];
const PAGE = 50;

let over = new AbortController();
/** @type {Kind} */
let kind = "file";
let merge = true;
let alike = 0.9;
/** @type {HTMLButtonElement[]} */
let tabs = [];
/** @type {HTMLElement} */
let panel;
/** @type {HTMLElement} */
let list;
/** @type {HTMLElement} */
let note;
/** @type {HTMLElement} */
let pendingNote;
/** @type {HTMLButtonElement} */
let all;
/** @type {HTMLElement} */
let howAlike;
/** Of the kind that is shown. */
let total = 0;
let wasted = 0;

/** @returns {Promise<void>} */
export async function open(/** @type {HTMLElement} */ container) {
  over = new AbortController();
  tabs = KINDS.map(([name, text]) => {
    const button = h("button", { type: "button", role: "tab", id: `duplicates-${name}`, "aria-controls": "duplicates-list" }, text, h("span", { class: "number" }));
    button.addEventListener("click", () => void choose(name));
    return button;
  });
  const bar = h("div", { class: "tabs", role: "tablist", "aria-label": "Kinds of duplicates" }, ...tabs);
  bar.addEventListener("keydown", walk);
  const box = h("input", { type: "checkbox", checked: merge });
  box.addEventListener("change", () => (merge = box.checked));
  const merging = h("label", { class: "merge" }, box, "The one that stays gets the tags, notes, ratings and side files that only the others have");
  howAlike = likenesses();
  note = h("p", { class: "page-note" });
  pendingNote = h("p", { class: "hint", role: "status" });
  list = h("div", { class: "groups" });
  panel = h("div", { id: "duplicates-list", role: "tabpanel" }, note, h("div", { class: "duplicates-head" }, howAlike, merging, pendingNote), list);
  all = h("button", { class: "small-button", type: "button", disabled: true });
  all.addEventListener("click", () => void keepAll());
  find("#page-tools").append(all);
  container.append(bar, panel);
  const again = throttle(() => void readCounts(), 800);
  for (const type of ["duplicates.changed", "library.weights", "files.changed", "reset"]) live.addEventListener(type, again, { signal: over.signal });
  undoing.addEventListener("undone", () => void load(), { signal: over.signal });
  await Promise.all([choose(kind), readCounts()]);
}

export function close() {
  over.abort();
}

function likenesses() {
  const options = LIKENESSES.map((one) => h("option", { value: one, selected: one === alike }, `${Math.round(one * 100)} % alike or more`));
  const select = h("select", { "aria-label": "How much alike" }, ...options);
  select.addEventListener("change", () => {
    alike = Number(select.value);
    void load();
  });
  return select;
}

/** The address of a list of one kind. */
const listed = (/** @type {Kind} */ of, /** @type {string} */ rest) => `duplicates?kind=${of}&${of === "near" ? `alike=${alike}&` : ""}${rest}`;

function walk(/** @type {KeyboardEvent} */ event) {
  const at = KINDS.findIndex(([name]) => name === kind);
  const to = event.key === "ArrowRight" ? at + 1 : event.key === "ArrowLeft" ? at - 1 : -2;
  if (to === -2) return;
  event.preventDefault();
  const place = (to + KINDS.length) % KINDS.length;
  void choose(/** @type {[Kind, string, string]} */ (KINDS[place])[0]);
  tabs[place]?.focus();
}

async function choose(/** @type {Kind} */ wanted) {
  kind = wanted;
  for (const [at, [name, , about]] of KINDS.entries()) {
    const on = name === wanted;
    tabs[at]?.setAttribute("aria-selected", String(on));
    if (tabs[at]) tabs[at].tabIndex = on ? 0 : -1;
    if (on) note.textContent = about;
  }
  panel.setAttribute("aria-labelledby", `duplicates-${wanted}`);
  howAlike.hidden = wanted !== "near";
  all.hidden = wanted === "near"; // each is to be looked at
  list.replaceChildren(h("div", { class: "skeleton lines" }));
  await load();
}

/** The first groups of the kind anew. */
async function load() {
  const wanted = kind;
  await fill(list, () => request("GET", listed(wanted, `limit=${PAGE}`)), (answer) => {
    if (over.signal.aborted || wanted !== kind) return;
    takeCounts(wanted, answer);
    if (answer.items.length) list.replaceChildren(...cards(answer.items), more());
    else list.replaceChildren(nothing("layers", "None of these", [answer.pending ? "Files are still being compared; what is found appears here." : "Every file of the library was compared."]));
    fold();
  });
}

const cards = (/** @type {Group[]} */ groups) => groups.map((group) => groupCard(group, () => ({ merge, ...(group.kind === "near" && { near: alike }) })));

/** How many groups of the list are still to be settled: as many as the sidecar would list before the next ones. */
const unsettled = () => list.querySelectorAll(".duplicate:not(.settled)").length;

function more() {
  const button = h("button", { class: "small-button more-rows", type: "button" });
  button.addEventListener("click", async () => {
    const wanted = kind;
    const answer = await attempt(() => request("GET", listed(wanted, `limit=${PAGE}&cursor=${unsettled()}`)), { button });
    if (!answer || over.signal.aborted || wanted !== kind) return;
    button.before(...cards(answer.items));
    takeCounts(wanted, answer);
    fold();
  });
  return button;
}

/** The button for more tells how many there are, or goes. */
function fold() {
  const button = list.querySelector(".more-rows");
  if (!(button instanceof HTMLElement)) return;
  const rest = total - unsettled();
  button.hidden = rest <= 0;
  button.textContent = `Show more (${count(rest)})`;
}

async function readCounts() {
  await Promise.all(
    KINDS.map(async ([name]) => {
      try {
        const answer = await request("GET", listed(name, "limit=1"));
        if (over.signal.aborted) return;
        takeCounts(name, answer);
        if (name === kind && answer.total > 0 && list.querySelector(".nothing")) void load();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error; // the list says it
      }
    }),
  );
}

function takeCounts(/** @type {Kind} */ name, /** @type {{total: number, wasted: number, pending: number}} */ answer) {
  const number = tabs[KINDS.findIndex(([one]) => one === name)]?.querySelector(".number");
  if (number) number.textContent = answer.total ? `${count(answer.total)} · ${bytes(answer.wasted)}` : "0";
  pendingNote.textContent = answer.pending ? `Comparing: ${plural(answer.pending, "file")} left.` : "";
  if (name !== kind) return;
  ({ total, wasted } = answer);
  all.disabled = total === 0;
  all.textContent = total ? `Keep all ${count(total)} suggested…` : "Keep all suggested…";
  fold();
}

async function keepAll() {
  const done = await resolveAll({ kind, total, wasted, merge });
  if (done && !over.signal.aborted) await Promise.all([load(), readCounts()]);
}
