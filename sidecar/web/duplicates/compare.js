// Copies of one LoRA side by side: only what differs, unless the user wants to see all of it.
import { request } from "../api.js";
import { openDialog } from "../ask.js";
import { h } from "../dom.js";
import { bytes, plural, titleOf, when } from "../format.js";
import { icon } from "../icons.js";
import { fill, thumb } from "../pages/parts.js";
import { precision } from "./group.js";

/** @typedef {import("../types.js").DuplicateGroup} Group */
/** @typedef {{field: string, values: Record<string, unknown>, same: boolean}} Fact */

const MOST = 12;

/** @type {Record<string, string>} */
const NAMES = { sha256: "SHA256", autov3: "AutoV3", nsfw: "NSFW level", used: "times used", precision: "numbers", favorite: "favourite", side_files: "beside it" };

/**
 * @param {Group} group
 * @param {{keep: number, why: string, choose: (id: number) => void, resolve: () => Promise<unknown>, removed: () => number}} options
 */
export function compareCopies(group, { keep, why, choose, resolve, removed }) {
  const copies = group.loras.slice(0, MOST);
  const body = h("div", { class: "compare" }, h("div", { class: "skeleton lines" }));
  const go = h("button", { class: "small-button strong", type: "button" }, `Keep the chosen, remove ${removed()}`);
  const all = h("input", { type: "checkbox" });
  const footer = h("div", { class: "dialog-actions" }, h("label", { class: "merge" }, all, "Show what is the same, too"), go);
  const [best] = copies;
  const dialog = openDialog(`Compare ${best ? titleOf(best) : "copies"}`, [body, footer], { wide: true });
  dialog.classList.add("compares");
  all.addEventListener("change", () => body.classList.toggle("whole", all.checked));
  go.addEventListener("click", () => {
    dialog.close();
    void resolve();
  });
  void fill(body, () => request("GET", `duplicates/compare?ids=${copies.map(({ id }) => id).join(",")}`), (answer) => {
    const heads = copies.map((one, at) => {
      const radio = h("input", { type: "radio", name: "compare-keep", checked: one.id === keep, "aria-label": `Keep ${one.file} in ${one.folder}` });
      radio.addEventListener("change", () => {
        choose(one.id);
        mark(body, at);
      });
      const suggested = at === 0 && why ? h("span", { class: "suggested" }, icon("check"), `Suggested: ${why}`) : "";
      return h("th", { scope: "col" }, h("label", { class: "compare-head" }, radio, thumb(one), h("strong", null, one.file), h("span", { class: "hint" }, one.folder), suggested));
    });
    const ids = copies.map(({ id }) => String(id));
    const facts = answer.fields.map((/** @type {Fact} */ { field, values, same }) => line(NAMES[field] ?? field.replaceAll("_", " "), ids.map((id) => shown(field, values[id])), same));
    const header = answer.header.map((/** @type {{key: string, values: Record<string, string|null>}} */ { key, values }) => line(key, ids.map((id) => values[id] ?? ""), false, true));
    const heading = (/** @type {string} */ text) => h("tr", { class: "compare-group" }, h("th", { colSpan: ids.length + 1, scope: "colgroup" }, text));
    const rows = [...facts, ...(header.length ? [heading(`Header: ${plural(header.length, "key")} that differ`), ...header] : [])];
    const differs = answer.fields.some((/** @type {Fact} */ { same }) => !same) || header.length > 0;
    const alike = answer.similarity === null ? "" : answer.similarity >= 0.9999995 ? "The weights are the same." : `The weights point the same way to ${(answer.similarity * 100).toFixed(3)} %.`;
    body.replaceChildren(
      h("p", { class: "hint" }, [alike, differs ? "Marked is what the one to keep says otherwise." : "Nothing else differs.", copies.length < group.loras.length ? `The first ${MOST} copies are compared.` : ""].filter(Boolean).join(" ")),
      h("div", { class: "table-scroll", tabIndex: 0, role: "region", "aria-label": "What differs" }, h("table", null, h("thead", null, h("tr", null, h("td", null), ...heads)), h("tbody", null, ...rows))),
    );
    mark(body, Math.max(0, copies.findIndex(({ id }) => id === keep)));
  });
}

/** @param {string} name @param {string[]} values @param {boolean} same @param {boolean} [code] */
function line(name, values, same, code = false) {
  const cells = values.map((value) => h("td", { "data-value": value }, value === "" ? h("span", { class: "hint" }, "–") : code ? h("code", { title: value }, value) : value));
  return h("tr", { class: same ? "same" : "" }, h("th", { scope: "row" }, name), ...cells);
}

/** Mark what differs from the copy in this column. */
function mark(/** @type {HTMLElement} */ body, /** @type {number} */ column) {
  for (const row of body.querySelectorAll("tbody tr")) {
    const cells = /** @type {HTMLElement[]} */ ([...row.querySelectorAll("td")]);
    for (const [at, cell] of cells.entries()) {
      cell.classList.toggle("odd", cell.dataset["value"] !== cells[column]?.dataset["value"]);
      cell.classList.toggle("chosen", at === column);
    }
  }
}

function shown(/** @type {string} */ field, /** @type {unknown} */ value) {
  if (value === null || value === undefined || value === "" || value === false) return "";
  if (value === true) return "yes";
  if (Array.isArray(value)) return value.join(", ");
  if (field === "size") return `${bytes(Number(value))}`;
  if (field === "added" || field === "modified") return when(Number(value));
  if (field === "precision") return precision(String(value));
  if (field === "nsfw") return /** @type {Record<string, string>} */ ({ 1: "PG", 2: "PG-13", 4: "R", 8: "X", 16: "XXX" })[String(value)] ?? "";
  return String(value);
}
