// One group of duplicates: its copies as a table, which one stays, and what becomes of the others.
import { request } from "../api.js";
import { attempt } from "../ask.js";
import { h } from "../dom.js";
import { bytes, plural, titleOf, when } from "../format.js";
import { icon } from "../icons.js";
import { opener, thumb } from "../pages/parts.js";
import { toast } from "../toast.js";
import { offerUndo, undo } from "../undo.js";
import { compareCopies } from "./compare.js";

/** @typedef {import("../types.js").DuplicateGroup} Group */
/** @typedef {import("../types.js").Copy} Copy */

const PRECISIONS = /** @type {Record<string, string>} */ ({ F64: "fp64", F32: "fp32", F16: "fp16", BF16: "bf16" });
let names = 0;

/** How finely the numbers are stored, as people write it. */
export const precision = (/** @type {string|null} */ dtype) => (dtype ? (PRECISIONS[dtype] ?? dtype.toLowerCase()) : "");

/** Why the first copy is the one to keep: the first thing that sets it apart from the next best. */
export function reason(/** @type {Copy[]} */ [best, next]) {
  if (!best || !next) return "";
  if (next.state === "missing" && best.state !== "missing") return "the one that is there";
  if ((best.rank ?? 0) !== (next.rank ?? 0)) return `higher rank, ${best.rank} against ${next.rank ?? "unknown"}`;
  if (best.precision !== next.precision) return `finer numbers, ${precision(best.precision)} against ${precision(next.precision) || "unknown"}`;
  if (best.favorite !== next.favorite) return "your favourite";
  if (best.used !== next.used) return `used more, ${plural(best.used, "time")} against ${next.used}`;
  if ((best.rating ?? 0) !== (next.rating ?? 0)) return "better rated";
  if (best.side_files !== next.side_files) return `more beside it, ${plural(best.side_files, "file")} against ${next.side_files}`;
  if (next.likeness !== undefined) return "";
  return best.added < next.added ? "there the longest" : "the first of equals";
}

/**
 * @param {Group} group the copy that is worth keeping first
 * @param {() => {merge: boolean, near?: number}} how whether the kept one gets what only the others have, and how much alike they were to be
 */
export function groupCard(group, how) {
  const near = group.kind === "near";
  names += 1;
  const name = `keep-${names}`;
  const [best] = group.loras;
  let keep = best?.id ?? 0;
  const why = reason(group.loras);
  const radios = new Map(group.loras.map((one) => [one.id, h("input", { type: "radio", name, value: one.id, checked: one.id === keep, "aria-label": `Keep ${one.file} in ${one.folder}` })]));
  const go = h("button", { class: "small-button go", type: "button" });
  const look = h("button", { class: "small-button", type: "button" }, "Compare");
  const others = h("button", { class: "small-button", type: "button", title: "Keep them all, and do not list them again" }, near ? "Keep all" : "Not duplicates");
  const draw = () => {
    go.textContent = group.loras.length === 2 ? "Keep the chosen, remove the other" : `Keep the chosen, remove ${group.loras.length - 1}`;
    for (const [id, radio] of radios) radio.closest("tr")?.classList.toggle("kept", id === keep);
  };
  const choose = (/** @type {number} */ id) => {
    keep = id;
    const radio = radios.get(id);
    if (radio) radio.checked = true;
    draw();
  };
  for (const [id, radio] of radios) radio.addEventListener("change", () => choose(id));
  const rows = group.loras.map((one) => copyRow(one, /** @type {HTMLInputElement} */ (radios.get(one.id)), one.id === best?.id ? why : "", near && one.id !== best?.id));
  const heads = ["Keep", "File", ...(near ? ["Alike"] : []), "Rank", "Numbers", "Beside it", "Used", "Modified", "Size"].map((text) => h("th", { scope: "col" }, text));
  const table = h("table", { class: near ? "copies near" : "copies" }, h("thead", null, h("tr", null, ...heads)), h("tbody", null, ...rows));
  const facts = `${near ? plural(group.count, "LoRA") : plural(group.count, "copy", "copies")} · ${bytes(group.wasted)} to gain`;
  const card = h(
    "section",
    { class: "duplicate", "aria-label": best ? titleOf(best) : "Group" },
    h("header", null, h("h2", null, best ? titleOf(best) : ""), h("span", { class: "hint" }, facts), h("div", { class: "row-actions" }, look, others, go)),
    h("div", { class: "table-scroll" }, table),
    group.count > group.loras.length && h("p", { class: "hint" }, `The first ${group.loras.length} are listed; the others come when these are settled.`),
  );
  const resolve = (/** @type {HTMLButtonElement|null} */ button) =>
    attempt(async () => settled(card, group, await keepOne(group, keep, how())), { button, failed: "Nothing was removed" });
  go.addEventListener("click", () => void resolve(go));
  look.addEventListener("click", () => compareCopies(group, { keep, why, choose, resolve: () => resolve(null), removed: () => group.loras.length - 1 }));
  others.addEventListener("click", () => void attempt(async () => ignored(card, group), { button: others }));
  draw();
  return card;
}

/** @param {Copy} one @param {HTMLInputElement} radio @param {string} why @param {boolean} alike whether it says how much it is like the first */
function copyRow(one, radio, why, alike) {
  const place = h("div", { class: "row-main" }, opener(one, one.file), h("span", { class: "hint" }, one.folder, one.state === "missing" ? ", missing" : ""), why && h("span", { class: "suggested" }, icon("check"), `Suggested: ${why}`));
  const likeness = one.likeness === undefined ? [] : [!alike ? "" : one.likeness === null ? "less" : `${Math.floor(one.likeness * 1000) / 10} %`];
  const cells = [...likeness, one.rank ?? "", precision(one.precision), one.side_files ? plural(one.side_files, "file") : "nothing", one.used, when(one.modified), bytes(one.size)];
  const row = h("tr", null, h("td", null, radio), h("td", null, h("div", { class: "copy-file" }, thumb(one), place)), ...cells.map((text) => h("td", { class: "number" }, text)));
  row.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("button, input")) return;
    if (getSelection()?.isCollapsed === false) return;
    radio.click();
  });
  return row;
}

/** Keep one copy of a group, the others go to the trash. */
export function keepOne(/** @type {Group} */ group, /** @type {number} */ keep, /** @type {{merge: boolean, near?: number}} */ how) {
  const remove = group.loras.map(({ id }) => id).filter((id) => id !== keep);
  return request("POST", "duplicates/resolve", { body: { keep, remove, ...how } });
}

/** The card stays where it is, at its height: nothing below it moves under the pointer. */
function settled(/** @type {HTMLElement} */ card, /** @type {Group} */ group, /** @type {any} */ answer) {
  const failed = answer.failed.map((/** @type {{id: number, reason: string}} */ one) => `${group.loras.find(({ id }) => id === one.id)?.file ?? "One"}: ${one.reason}`);
  if (!answer.done) return void toast(failed[0] ?? "Nothing was removed.", { kind: "error" });
  const text = `${plural(answer.done, "copy", "copies")} moved to the trash; ${bytes(answer.freed)} free once it is emptied.`;
  const back = undoButton(() => void undo({ id: answer.action, text }));
  card.classList.add("removed");
  rest(card, text, answer.action === null ? null : back, failed);
  offerUndo(answer, text);
  return undefined;
}

async function ignored(/** @type {HTMLElement} */ card, /** @type {Group} */ group) {
  const ids = group.loras.map(({ id }) => id);
  await request("POST", "duplicates/ignore", { body: { ids } });
  const wake = rest(card, "Kept all of them; they are not listed as duplicates any more.", undoButton(() => void regard()), []);
  const regard = () =>
    attempt(
      async () => {
        await request("DELETE", "duplicates/ignore", { body: { ids } });
        wake();
      },
      { failed: "Not undone" },
    );
}

const undoButton = (/** @type {() => void} */ run) => h("button", { class: "small-button", type: "button", onclick: run }, icon("undo"), "Undo");

/**
 * Nothing more can be done with this group; its copies stay to be seen.
 * @param {HTMLElement} card @param {string} text @param {HTMLElement|null} button @param {string[]} failed
 * @returns {() => void} takes it back
 */
function rest(card, text, button, failed) {
  const before = /** @type {HTMLElement} */ (card.querySelector("header"));
  const head = h("header", { role: "status" }, icon("check"), h("p", null, text), h("div", { class: "row-actions" }, button));
  const table = /** @type {HTMLElement} */ (card.querySelector(".table-scroll"));
  card.style.minHeight = `${card.offsetHeight}px`;
  card.classList.add("settled");
  table.inert = true;
  before.replaceWith(head);
  table.after(...failed.map((one) => h("p", { class: "file-warning" }, icon("warn"), one)));
  return () => {
    card.classList.remove("settled");
    table.inert = false;
    head.replaceWith(before);
  };
}
