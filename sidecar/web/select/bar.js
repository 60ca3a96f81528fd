// The bar at the foot of the cards while LoRAs are selected: how many, and what to do with all of them.
import { request } from "../api.js";
import { attempt, confirmed } from "../ask.js";
import { collections } from "../collections.js";
import { find, h } from "../dom.js";
import { LABELS, LEVELS } from "../drawer/marks.js";
import { deleteLoras, forgetLoras, moveLoras } from "../fileactions.js";
import { count, plural } from "../format.js";
import { icon } from "../icons.js";
import { library } from "../library.js";
import { openMenu } from "../popup.js";
import { query } from "../query.js";
import { newCollection } from "../rail/collections.js";
import { pickName } from "../rail/picks.js";
import { tasks, whenDone } from "../tasks.js";
import { toast } from "../toast.js";
import { changeSelected, markSelected, toggleSelected } from "./bulk.js";
import { selection } from "./selection.js";
import { openTagging } from "./tagging.js";

/** @typedef {import("../icons.js").IconName} IconName */
/** @typedef {import("../popup.js").MenuItem} MenuItem */

/** More than this are not deleted without a question. */
const ASK_FROM = 20;
const STARS = [5, 4, 3, 2, 1];

export function startBar() {
  const bar = find("#selection");
  const text = h("span", { class: "selection-count", role: "status" });
  const all = h("button", { class: "quiet", type: "button" });
  const clear = h("button", { class: "icon-button", type: "button", title: "Select none (Esc)", "aria-label": "Select none" }, icon("close"));
  const progress = h("progress", { "aria-label": "Progress", hidden: true });
  all.addEventListener("click", () => selection.everything());
  clear.addEventListener("click", () => selection.clear());
  const tools = h("div", { class: "selection-tools", role: "toolbar", "aria-label": "Do with the selected LoRAs" }, ...buttons());
  bar.append(clear, text, all, tools, progress);
  const draw = () => {
    const many = selection.count;
    if (many === 0 && bar.contains(document.activeElement)) focusCards();
    bar.hidden = many === 0;
    document.body.classList.toggle("selecting", many > 0);
    text.textContent = `${count(many)} selected`;
    all.hidden = selection.whole || !library.total || many >= library.total;
    all.textContent = `All ${count(library.total ?? 0)}`;
    all.title = "Everything in this list (Ctrl+A)";
  };
  selection.on("change", draw);
  library.on("reset", draw);
  let busy = false;
  const show = (/** @type {{done: number, total: number}|null} */ now) => {
    busy = now !== null;
    bar.classList.toggle("busy", busy);
    tools.inert = busy;
    progress.hidden = !busy;
    if (now?.total) [progress.max, progress.value] = [now.total, now.done];
    else progress.removeAttribute("value");
  };
  selection.on("busy", show);
  tasks.on("task", (task) => busy && task.state === "running" && task.total > 0 && show(task));
  draw();
}

/** The bar goes; the keyboard is back on its card. */
function focusCards() {
  const grid = /** @type {import("../grid.js").LoraGrid} */ (find("lora-grid"));
  grid.activate(grid.active);
}

/** @param {IconName} name @param {string} label @param {(button: HTMLButtonElement) => void} run @param {string} [className] */
function tool(name, label, run, className = "") {
  const button = h("button", { class: `tool ${className}`, type: "button", title: label }, icon(name), h("span", null, label));
  button.addEventListener("click", () => run(button));
  return button;
}

/** A tool that opens a menu. @param {IconName} name @param {string} label @param {(button: HTMLElement) => (MenuItem|null)[]} items */
function menuTool(name, label, items) {
  const button = tool(name, label, () => openMenu(button, label, items(button)));
  button.setAttribute("aria-haspopup", "menu");
  button.setAttribute("aria-expanded", "false");
  return button;
}

function buttons() {
  return [
    tool("tag", "Tags", openTagging),
    tool("star", "Favourite", () => void toggleSelected("favorite")),
    menuTool("rate", "Rating", () => [...STARS, null].map((rating) => ({ label: rating ? pickName("rating", String(rating)) : "No rating", icon: rating ? "star" : "gone", run: () => void markSelected({ rating }) }))),
    menuTool("label", "Label", () => labelItems((label) => void markSelected({ label }))),
    menuTool("layers", "Collection", collectionItems),
    menuTool("eye", "Visibility", () => [
      ...LEVELS.map(([nsfw, label]) => ({ label: nsfw ? label : "Level not known", icon: /** @type {IconName} */ (nsfw ? "warn" : "gone"), run: () => void markSelected({ nsfw }) })),
      null,
      { label: "Hide", icon: "hide", run: () => void markSelected({ hidden: true }) },
      { label: "Show again", icon: "eye", run: () => void markSelected({ hidden: false }) },
    ]),
    menuTool("more", "More", (button) => [
      { label: "Save as set…", icon: "list", run: () => void saveSet(button) },
      null,
      { label: "Move to a folder…", icon: "move", run: () => void withChosen(moveLoras) },
      { label: "Rename and sort by template…", icon: "edit", run: () => void organise() },
      { label: "Look up on Civitai", icon: "cloud", run: () => void lookUp() },
      null,
      { label: "Forget missing…", icon: "gone", run: () => void forget() },
    ]),
    tool("trash", "Trash", (button) => void trash(button), "danger"),
  ];
}

/** The colours of the label menu, here and at a card. */
export function labelItems(/** @type {(label: string|null) => void} */ choose, /** @type {string|null|undefined} */ now = undefined) {
  return [...LABELS, null].map((label) => ({
    label: label ? pickName("label", label) : "None",
    mark: h("span", { class: `swatch ${label ?? "none"}` }),
    ...(now === undefined ? {} : { checked: label === now }),
    run: () => choose(label),
  }));
}

function collectionItems(/** @type {HTMLElement} */ button) {
  const put = (/** @type {{id: number, name: string}} */ one) => changeSelected({ add_to_collection: one.id }, (what) => `${what} added to ${one.name}`);
  const shown = collections.byId(query.filters.collection);
  /** @type {(MenuItem|null)[]} */
  const items = collections.picked.map((one) => ({ label: one.name, mark: h("span", { class: `swatch ${one.color ?? "none"}` }), run: () => void put(one) }));
  if (shown && shown.query === null) {
    items.push(null, { label: `Take out of ${shown.name}`, icon: "minus", run: () => void changeSelected({ remove_from_collection: shown.id }, (what) => `${what} taken out of ${shown.name}`) });
  }
  if (items.length) items.push(null);
  items.push({ label: "New collection…", icon: "plus", run: () => newCollection(button, (made) => void put(made)) });
  return items;
}

/** @param {(chosen: import("../types.js").Selection, many: number) => unknown} run */
async function withChosen(run) {
  const many = selection.count;
  const chosen = await attempt(() => selection.chosen());
  if (chosen) await run(chosen, many);
}

async function saveSet(/** @type {HTMLElement} */ button) {
  const { openSaveSet } = await import("./saveset.js");
  openSaveSet(button);
}

async function organise() {
  const { openOrganise } = await import("./organise.js");
  await withChosen(openOrganise);
}

async function lookUp() {
  await withChosen(async (chosen) => {
    const ask = async () => {
      const { task } = await request("POST", "civitai/lookup", { body: { selection: chosen } });
      toast("Looking up on Civitai; how far it is stands behind the clock.");
      return whenDone(task);
    };
    const result = await attempt(ask, { failed: "Not looked up" });
    if (!result) return;
    const parts = [`${count(result.found)} found`, `${count(result.not_found)} not known to Civitai`];
    if (result.known) parts.push(`${count(result.known)} asked for before`);
    if (result.skipped) parts.push(`${count(result.skipped)} not hashed yet`);
    toast(`${parts.join(", ")}.`);
  });
}

/** Take missing LoRAs out of the list, once it is clear what that means. @param {import("../types.js").Selection} [chosen] else the selected ones */
export async function forget(chosen) {
  const text = [
    "Files that are missing leave the list. What you said about them (tags, notes, rating, history) is kept with their contents: if a file comes back, it all is there again.",
    "A drive that is not connected needs no forgetting; its LoRAs come back with it.",
  ];
  const yes = await confirmed({ title: "Forget missing LoRAs?", text: text.map((line) => h("p", null, line)), action: "Forget" });
  if (!yes) return;
  if (chosen) await forgetLoras(chosen);
  else await withChosen((selected) => forgetLoras(selected));
  selection.clear();
  await library.reload({ keepPlace: true });
}

/** Into the trash with everything selected. @param {HTMLButtonElement} [button] that was pressed */
export async function trash(button) {
  const many = selection.count;
  if (many > ASK_FROM) {
    const text = [h("p", null, `${plural(many, "LoRA")} with their side files and previews go to the trash.`), h("p", null, "They can be brought back from there, or with Undo.")];
    if (!(await confirmed({ title: `Move ${plural(many, "LoRA")} to the trash?`, text, action: "Move to the trash", danger: true }))) return;
  }
  if (many > ASK_FROM) toast(`Moving ${plural(many, "LoRA")} to the trash…`);
  selection.emit("busy", { done: 0, total: 0 });
  try {
    await withChosen((chosen) => deleteLoras(chosen, many, button));
    selection.clear();
    await library.reload({ keepPlace: true });
  } finally {
    selection.emit("busy", null);
  }
}
