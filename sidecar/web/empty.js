// What stands in the grid's place when there are no cards: first load, empty library, no result, an error.
import { bridge } from "./bridge.js";
import { collections } from "./collections.js";
import { find, h } from "./dom.js";
import { icon } from "./icons.js";
import { library } from "./library.js";
import { query } from "./query.js";
import { folderForm, folderRows, rescan, status } from "./status.js";

let shown = "";

export function startEmpty() {
  library.on("reset", draw);
  library.on("error", draw);
  library.on("status", draw);
}

function draw() {
  const place = find("#empty");
  const { error, total } = library;
  const kind =
    error && total === null ? "error" : total === null ? "loading" : total > 0 ? "" : query.narrowed ? "nothing" : status?.scanning ? "reading" : "empty";
  place.hidden = kind === "";
  document.body.classList.toggle("no-cards", kind !== "");
  const folders = status ? JSON.stringify(status.folders) : "";
  const now = JSON.stringify([kind, folders, query.filters.q, query.active, query.filters.collection]);
  if (shown === now) return;
  shown = now;
  if (kind === "error") place.replaceChildren(...errorView());
  else if (kind === "nothing") place.replaceChildren(...nothingView());
  else if (kind === "empty") place.replaceChildren(...emptyView());
  else if (kind === "reading") place.replaceChildren(icon("folder"), h("h2", null, "Reading your LoRAs"), h("p", null, "The first ones appear in a moment."));
  else if (kind === "") place.replaceChildren();
}

function errorView() {
  const away = library.error?.status === 0 || library.error?.code.startsWith("sidecar_");
  const text = away ? "LoRA Manager does not answer yet" : "The list could not be loaded";
  const told = library.error?.status === 0 ? "It may be starting or restarting." : (library.error?.message ?? "");
  const why = away ? `${told} This page goes on by itself as soon as it is there.` : told;
  return [
    icon("warn"),
    h("h2", null, text),
    h("p", null, why),
    h("button", { class: "small-button", type: "button", onclick: () => void library.reload() }, icon("refresh"), "Try again"),
  ];
}

function nothingView() {
  const { q, collection } = query.filters;
  const alone = query.active === 1 && !q ? collections.byId(collection) : undefined;
  if (alone) {
    const picked = alone.query === null;
    const text = picked ? "Drag cards onto it, or select some and choose Collection." : "It shows whatever fits, as soon as something does.";
    const back = h("button", { class: "small-button", type: "button", onclick: () => query.clear() }, "Show everything");
    return [icon(picked ? "layers" : "search"), h("h2", null, picked ? `${alone.name} is empty` : `Nothing fits ${alone.name} now`), h("p", null, text), h("div", { class: "empty-actions" }, back)];
  }
  const parts = [icon("search"), h("h2", null, q ? `Nothing found for “${q}”` : "No LoRA has all of these")];
  parts.push(h("p", null, query.active ? "The filters may be too narrow." : "Search looks at names, titles, tags, trigger words, notes and descriptions."));
  const actions = h("div", { class: "empty-actions" });
  if (query.active) actions.append(h("button", { class: "small-button", type: "button", onclick: () => query.clear() }, "Clear all filters"));
  if (q) actions.append(h("button", { class: "small-button", type: "button", onclick: () => query.set({ q: "" }) }, "Clear the search"));
  return [...parts, actions];
}

function emptyView() {
  const how = bridge.host
    ? "Add a folder here, or in the host's settings under LoRA Manager."
    : "Add a folder here, or start with --loras followed by a folder.";
  return [
    icon("image"),
    h("h2", null, "No LoRAs yet"),
    h("p", null, status?.folders?.length ? "These folders were looked in:" : "No folder has been given to look in."),
    ...(status?.folders?.length ? [h("div", { class: "empty-folders" }, ...folderRows(status))] : []),
    h("p", { class: "hint" }, how),
    folderForm(),
    h("button", { class: "quiet", type: "button", onclick: () => void rescan() }, icon("refresh"), "Look again"),
  ];
}
