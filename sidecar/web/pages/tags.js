// The page of tags: every tag of the library with its count, to be renamed, merged, coloured and taken away; the rules that
// keep it so for files that come; export and import.
import { address, request } from "../api.js";
import { attempt, openDialog } from "../ask.js";
import { debounce, find, h } from "../dom.js";
import { count, plural } from "../format.js";
import { icon } from "../icons.js";
import { whenDone } from "../tasks.js";
import { toast } from "../toast.js";
import { offerUndo, undoing } from "../undo.js";
import { TagList } from "./taglist.js";
import { drawRules } from "./tagrules.js";

/** The page that is open. @type {{over: AbortController, again: () => void}|null} */
let shown = null;

export async function open(/** @type {HTMLElement} */ container) {
  const over = new AbortController();
  const search = h("input", { type: "search", class: "page-search", placeholder: "Find a tag", "aria-label": "Find a tag", autocomplete: "off" });
  const order = h("select", { "aria-label": "Order" }, h("option", { value: "count" }, "Most used"), h("option", { value: "name" }, "Name"));
  const body = h("div", { id: "tags-panel", role: "tabpanel" });
  const list = new TagList();
  let tab = "tags";

  const draw = () => {
    for (const button of tabs) {
      const on = button.value === tab;
      button.setAttribute("aria-selected", String(on));
      button.tabIndex = on ? 0 : -1;
    }
    order.disabled = tab !== "tags";
    body.setAttribute("aria-labelledby", `tab-${tab}`);
    if (tab === "tags") {
      body.replaceChildren(list.element);
      return list.show(search.value.trim(), order.value);
    }
    return drawRules(body, search.value.trim());
  };
  const tabs = [
    ["tags", "Tags"],
    ["rules", "Rules"],
  ].map(([value, label]) => {
    const button = h("button", { type: "button", role: "tab", id: `tab-${value}`, value, "aria-controls": "tags-panel" }, label);
    button.addEventListener("click", () => {
      tab = button.value;
      void draw();
    });
    return button;
  });
  const strip = h("div", { class: "tabs", role: "tablist", "aria-label": "Tags and their rules" }, ...tabs);
  strip.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    tab = tab === "tags" ? "rules" : "tags";
    void draw();
    tabs.find((button) => button.value === tab)?.focus();
  });
  const later = debounce(() => void draw(), 150);
  search.addEventListener("input", later);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !search.value) return;
    event.stopPropagation();
    search.value = "";
    void draw();
  });
  order.addEventListener("change", () => void draw());
  undoing.addEventListener("undone", () => void draw(), { signal: over.signal });
  list.on("changed", () => void draw());
  shown = { over, again: () => void draw() };
  find("#page-tools").append(search, order, exportLink(), importButton());
  container.append(strip, body);
  await draw();
}

export function close() {
  shown?.over.abort();
  shown = null;
}

function exportLink() {
  return h("a", { class: "small-button", href: address("api/v1/tags/export").href, download: "lora-tags.json", title: "Every LoRA's tags and the colours, as a file" }, icon("download"), h("span", null, "Export"));
}

function importButton() {
  const file = h("input", { type: "file", accept: ".json,application/json", hidden: true });
  const button = h("button", { class: "small-button", type: "button", title: "Add tags from such a file" }, icon("upload"), h("span", null, "Import"), file);
  button.addEventListener("click", () => file.click());
  file.addEventListener("click", (event) => event.stopPropagation());
  file.addEventListener("change", async () => {
    const chosen = file.files?.[0];
    file.value = "";
    if (chosen) await takeIn(chosen, button);
  });
  return button;
}

async function takeIn(/** @type {File} */ file, /** @type {HTMLButtonElement} */ button) {
  let list;
  try {
    list = JSON.parse(await file.text());
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return toast(`${file.name} is no JSON file.`, { kind: "error" });
  }
  if (!Array.isArray(list?.items)) return toast(`${file.name} has no list of items; export one to see its form.`, { kind: "error" });
  const outcome = await attempt(
    async () => {
      const { task } = await request("POST", "tags/import", { body: { items: list.items, colors: list.colors ?? {} } });
      return whenDone(task);
    },
    { button, failed: "Not imported" },
  );
  if (!outcome) return undefined;
  offerUndo(outcome, `Tags of ${plural(outcome.changed, "LoRA")} imported`);
  shown?.again();
  if (outcome.unknown_total) tellUnknown(outcome);
  return undefined;
}

function tellUnknown(/** @type {{unknown: string[], unknown_total: number}} */ { unknown, unknown_total: total }) {
  const names = h("ul", { class: "plain-list" }, ...unknown.map((name) => h("li", null, h("code", null, name))));
  const rest = total > unknown.length ? h("p", { class: "hint" }, `and ${count(total - unknown.length)} more`) : null;
  openDialog(`${plural(total, "entry", "entries")} without a LoRA`, [h("p", { class: "hint" }, "The library has no LoRA of this name or hash, so these were left out:"), names, rest]);
}
