// Rename and sort files by a template: a live look at what would go where, then the same for real.
import { ApiError, request } from "../api.js";
import { openDialog } from "../ask.js";
import { add, debounce, h } from "../dom.js";
import { tell } from "../fileactions.js";
import { count, plural } from "../format.js";
import { icon } from "../icons.js";
import { library } from "../library.js";
import { preferences } from "../preferences.js";
import { cancelTask, whenDone } from "../tasks.js";
import { selection } from "./selection.js";

/** @typedef {import("../types.js").Selection} Chosen */
/** @typedef {import("../types.js").FileResult & {same: number, conflict: number, failed: number, total: number}} Outcome */
/** @typedef {{name: string, meaning: string}} Field */

const ROWS = 300;

/**
 * @param {Chosen} chosen
 * @param {number} many how many LoRAs that is
 */
export async function openOrganise(chosen, many) {
  const start = preferences.values?.organise_template ?? "{base_model}/{type}/{name}";
  const box = h("input", { type: "text", class: "organise-box", value: start, maxLength: 500, spellcheck: false, autocomplete: "off", "aria-label": "Template" });
  const root = h("select", { "aria-label": "LoRA folder" });
  const rootLine = h("label", { class: "template-root", hidden: true }, "in ", root);
  const fields = h("div", { class: "words small", role: "group", "aria-label": "Fields" });
  const note = h("p", { class: "form-note", role: "alert" });
  const summary = h("p", { class: "dry-summary", role: "status" });
  const progress = h("progress", { "aria-label": "Looking what would go where", hidden: true });
  const table = h("div", { class: "dry-run", tabIndex: 0, role: "region", "aria-label": "What would go where" });
  const go = h("button", { class: "small-button strong", type: "submit", disabled: true }, "Move");
  const form = h("form", { class: "organise" }, h("div", { class: "template-line" }, box, rootLine), fields, note, h("div", { class: "dry-head" }, summary, progress), table, h("div", { class: "dialog-actions" }, go));
  const dialog = openDialog(`Rename and sort ${plural(many, "LoRA")}`, [form], { wide: true });
  box.focus();

  const body = (/** @type {boolean} */ dry) => ({ selection: chosen, template: box.value.trim(), ...(root.value ? { root: root.value } : {}), dry_run: dry });
  let turn = 0;
  let task = 0;
  const look = async () => {
    turn += 1;
    const mine = turn;
    if (task) void cancelTask(task).catch(() => {}); // it may have ended by now
    task = 0;
    note.textContent = "";
    go.disabled = true;
    const slow = setTimeout(() => mine === turn && (progress.hidden = false), 150);
    try {
      const answer = await request("POST", "files/organise", { body: body(true) });
      if (mine === turn) task = answer.task ?? 0;
      const outcome = /** @type {Outcome|null} */ (answer.task ? await whenDone(answer.task, { quiet: true }) : answer);
      if (mine !== turn || !outcome) return;
      task = 0;
      show(outcome);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (mine === turn) note.textContent = error.message;
    } finally {
      clearTimeout(slow);
      if (mine === turn) progress.hidden = true;
    }
  };
  const show = (/** @type {Outcome} */ outcome) => {
    const refused = outcome.conflict + outcome.failed;
    summary.replaceChildren();
    add(summary, [
      h("strong", null, `${plural(outcome.done, "LoRA moves", "LoRAs move")}`),
      outcome.same ? ` · ${count(outcome.same)} ${outcome.same === 1 ? "lies" : "lie"} there already` : "",
      refused ? h("span", { class: "refused" }, ` · ${count(refused)} cannot`) : "",
    ]);
    const order = { conflict: 0, failed: 1, done: 2, same: 3 };
    const rows = [...outcome.items].sort((a, b) => order[a.state] - order[b.state]).slice(0, ROWS);
    table.replaceChildren(...rows.map(row));
    if (outcome.total > rows.length) table.append(h("p", { class: "hint" }, `and ${count(outcome.total - rows.length)} more`));
    go.disabled = outcome.done === 0;
    go.replaceChildren(icon("move"), `Move ${count(outcome.done)}`);
  };
  const later = debounce(() => void look(), 250);
  box.addEventListener("input", () => {
    go.disabled = true;
    later();
  });
  root.addEventListener("change", () => void look());
  dialog.addEventListener("close", () => {
    turn += 1;
    later.cancel();
    if (task) void cancelTask(task).catch(() => {});
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    go.disabled = true;
    try {
      const answer = await request("POST", "files/organise", { body: body(false) });
      dialog.close();
      selection.emit("busy", { done: 0, total: 0 });
      await tell(answer, "sorted by the template");
      await library.reload({ keepPlace: true });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      note.textContent = error.message;
      go.disabled = false;
    } finally {
      selection.emit("busy", null);
    }
  });
  void look();
  await offerFields(box, fields, root, rootLine);
}

/** @param {import("../types.js").FileOutcome} item */
function row({ from, to, state, reason }) {
  const refused = state === "conflict" || state === "failed";
  const place = h("span", { class: "dry-to", title: to }, ...path(to ?? ""));
  return h(
    "div",
    { class: `dry-row ${state}` },
    h("span", { class: "dry-from", title: from }, ...path(from)),
    icon(refused ? "warn" : state === "same" ? "check" : "right"),
    state === "same" ? h("span", { class: "hint" }, "stays") : place,
    refused ? h("p", { class: "dry-reason" }, reason ?? "") : null,
  );
}

/** A path whose last part stands out, without the ending that never changes. */
function path(/** @type {string} */ text) {
  const cut = text.lastIndexOf("/") + 1;
  return [h("span", { class: "hint" }, text.slice(0, cut)), text.slice(cut).replace(/\.(safetensors|ckpt|pt)$/i, "")];
}

/**
 * Fill in what the sidecar offers: fields to put into the template, and LoRA folders when there are several.
 * @param {HTMLInputElement} box
 * @param {HTMLElement} fields
 * @param {HTMLSelectElement} root
 * @param {HTMLElement} rootLine
 */
async function offerFields(box, fields, root, rootLine) {
  try {
    const [known, folders] = await Promise.all([request("GET", "files/template-fields"), request("GET", "library/folders")]);
    fields.replaceChildren(
      ...known.items.map((/** @type {Field} */ { name, meaning }) => {
        const button = h("button", { class: "word", type: "button", title: meaning }, `{${name}}`);
        button.addEventListener("click", () => {
          box.setRangeText(`{${name}}`, box.selectionStart ?? box.value.length, box.selectionEnd ?? box.value.length, "end");
          box.dispatchEvent(new Event("input"));
          box.focus();
        });
        return button;
      }),
    );
    const labels = folders.items.map((/** @type {{label?: string}} */ one) => one.label).filter(Boolean);
    if (labels.length < 2) return;
    root.replaceChildren(h("option", { value: "" }, "its own LoRA folder"), ...labels.map((/** @type {string} */ label) => h("option", { value: label }, label)));
    rootLine.hidden = false;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the template works without
  }
}
