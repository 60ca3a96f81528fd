// The parts of the drawer that only show: description, training, example prompts, files, hashes, raw metadata.
import { copy, useWords } from "../actions.js";
import { bridge } from "../bridge.js";
import { h } from "../dom.js";
import { bytes, count, plural, when, words } from "../format.js";
import { icon } from "../icons.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {import("../types.js").Example} Example */

const TAGS_SHOWN = 24;

/** @param {string} title @param {...import("../dom.js").Child} children */
export function section(title, ...children) {
  return h("section", { class: "field", "aria-label": title }, h("div", { class: "field-head" }, h("h3", null, title)), ...children);
}

/** A button that copies. */
function copyButton(/** @type {string} */ text, /** @type {string} */ what) {
  return h("button", { class: "icon-button", type: "button", title: `Copy ${what}`, "aria-label": `Copy ${what}`, onclick: () => void copy(text) }, icon("copy"));
}

/** The author's description in a shadow root, where its markup cannot touch the page's. Pictures from elsewhere are left out. */
export function description(/** @type {Detail} */ detail) {
  if (!detail.description?.trim()) return null;
  const parsed = new DOMParser().parseFromString(detail.description, "text/html"); // runs nothing, loads nothing
  for (const bad of parsed.querySelectorAll("script, style, iframe, object, embed, form, link, meta, base, svg, img, video, audio")) bad.remove();
  for (const element of parsed.body.querySelectorAll("*")) {
    for (const { name } of [...element.attributes]) {
      if (!["href", "title", "colspan", "rowspan"].includes(name)) element.removeAttribute(name);
    }
    if (element instanceof HTMLAnchorElement || element.localName === "a") {
      if (!/^https?:/i.test(element.getAttribute("href") ?? "")) element.removeAttribute("href");
      element.setAttribute("rel", "noopener noreferrer nofollow");
      element.setAttribute("target", "_blank");
    }
  }
  const host = h("div", { class: "description" });
  const root = host.attachShadow({ mode: "open" });
  const style = h("link", { rel: "stylesheet", href: "drawer/description.css" });
  const text = h("div", { class: "text" }, ...parsed.body.childNodes);
  root.append(style, text);
  const more = h("button", { class: "quiet more", type: "button" }, "Show all");
  more.addEventListener("click", () => {
    host.classList.toggle("whole");
    more.textContent = host.classList.contains("whole") ? "Show less" : "Show all";
  });
  requestAnimationFrame(() => (more.hidden = text.scrollHeight <= host.clientHeight + 4));
  return section("Description", host, more);
}

export function trainingTags(/** @type {Detail} */ detail) {
  const tags = detail.training_tags;
  if (!tags.length) return null;
  const cloud = h("div", { class: "words small" });
  const more = h("button", { class: "quiet more", type: "button" });
  let all = false;
  const draw = () => {
    const buttons = (all ? tags : tags.slice(0, TAGS_SHOWN)).map(({ tag, count: of }) =>
      h(
        "button",
        { class: bridge.host && bridge.says(tag) ? "word on" : "word", type: "button", title: bridge.host ? "Add to the prompt" : "Copy", onclick: (/** @type {MouseEvent} */ event) => useTag(event, tag) },
        tag,
        h("span", { class: "number" }, count(of)),
      ),
    );
    cloud.replaceChildren(...buttons);
    more.textContent = all ? "Show fewer" : `Show all ${count(tags.length)}`;
    more.hidden = tags.length <= TAGS_SHOWN;
  };
  more.addEventListener("click", () => ((all = !all), draw()));
  draw();
  return section("Training tags", cloud, more);
}

/** The host's page answers with the new prompt in a moment; then the button shows whether the tag is in it. */
function useTag(/** @type {MouseEvent} */ event, /** @type {string} */ tag) {
  const button = event.currentTarget;
  useWords(tag);
  if (!(button instanceof HTMLElement) || !bridge.host) return;
  setTimeout(() => button.classList.toggle("on", bridge.says(tag)), 500);
}

export function training(/** @type {Detail} */ detail) {
  const facts = Object.entries(detail.training).filter(([, value]) => value !== null && value !== "" && typeof value !== "object");
  if (!facts.length) return null;
  return section("Training", h("dl", { class: "facts" }, ...facts.flatMap(([key, value]) => [h("dt", null, words(key)), h("dd", null, factText(key, value))])));
}

/** Header values are text; numbers among them lose their needless digits, and times become dates. */
function factText(/** @type {string} */ key, /** @type {unknown} */ value) {
  const number = typeof value === "number" ? value : /^-?\d+(\.\d+)?(e-?\d+)?$/i.test(String(value)) ? Number(value) : NaN;
  if (Number.isNaN(number)) return String(value);
  if (key === "started" || key === "finished") return when(number);
  return number >= 10000 && Number.isInteger(number) ? count(number) : String(Number(number.toPrecision(6)));
}

export function examples(/** @type {Detail} */ detail) {
  const shown = detail.examples.filter((one) => one.prompt);
  if (!shown.length) return null;
  return section("Example prompts", ...shown.slice(0, 20).map(example));
}

function example(/** @type {Example} */ one) {
  const facts = [one.sampler, one.steps && `${one.steps} steps`, one.cfg && `CFG ${one.cfg}`, one.size, one.seed !== null && one.seed !== undefined && `seed ${one.seed}`, one.checkpoint];
  const prompt = one.prompt ?? "";
  const box = h("p", { class: "prompt", tabIndex: 0, title: "Click to show all of it" }, prompt);
  const open = () => box.classList.toggle("whole");
  box.addEventListener("click", () => getSelection()?.isCollapsed !== false && open());
  box.addEventListener("keydown", (event) => event.key === "Enter" && open());
  const negative = one.negative_prompt;
  return h(
    "article",
    { class: "example" },
    box,
    negative && h("p", { class: "negative" }, h("span", null, "Negative "), negative),
    h("p", { class: "hint" }, facts.filter(Boolean).join(" · ")),
    h(
      "div",
      { class: "example-actions" },
      bridge.host && h("button", { class: "small-button", type: "button", onclick: () => useWords(prompt) }, icon("plus"), "Add to prompt"),
      bridge.host && negative && h("button", { class: "small-button", type: "button", onclick: () => bridge.negative(negative) }, icon("plus"), "Add negative"),
      h("button", { class: "small-button", type: "button", onclick: () => void copy(prompt, "the prompt") }, icon("copy"), "Copy"),
      negative && h("button", { class: "small-button", type: "button", onclick: () => void copy(negative, "the negative prompt") }, icon("copy"), "Copy negative"),
      outside(one.url, "Open"),
    ),
  );
}

/** A link away from this machine; only for addresses that a browser should open. */
export function outside(/** @type {string|null|undefined} */ url, /** @type {string} */ text) {
  if (!url || !/^https?:\/\//i.test(url)) return null;
  return h("a", { class: "outside", href: url, target: "_blank", rel: "noopener noreferrer", referrerPolicy: "no-referrer" }, text, icon("external"));
}

export function files(/** @type {Detail} */ detail) {
  return section(
    "File",
    h("div", { class: "path" }, h("code", null, detail.path), copyButton(detail.path, "the path")),
    h(
      "dl",
      { class: "facts" },
      h("dt", null, "Size"),
      h("dd", null, bytes(detail.size), " ", h("span", { class: "hint" }, `${count(detail.size)} bytes`)),
      h("dt", null, "Modified"),
      h("dd", null, when(detail.modified)),
      h("dt", null, "Added"),
      h("dd", null, when(detail.added)),
      detail.side_files.length > 0 && h("dt", null, "Beside it"),
      detail.side_files.length > 0 && h("dd", null, ...detail.side_files.map((name) => h("div", { class: "file" }, name))),
    ),
    ...(detail.warnings ?? []).map((text) => h("p", { class: "file-warning" }, icon("warn"), text)),
  );
}

export function hashes(/** @type {Detail} */ detail) {
  const names = /** @type {Record<string, string>} */ ({ sha256: "SHA256", autov1: "AutoV1", autov2: "AutoV2", autov3: "AutoV3" });
  const rows = Object.entries(names).flatMap(([key, name]) => {
    const value = detail.hashes[key];
    const known = value ? [h("code", null, value), copyButton(value, name)] : [h("span", { class: "hint" }, detail.hashing_pending ? "pending" : "none")];
    return [h("dt", null, name), h("dd", { class: "hash" }, ...known)];
  });
  return section("Hashes", h("dl", { class: "facts" }, ...rows));
}

export function history(/** @type {{items: import("../types.js").Generation[], total: number}} */ { items, total }) {
  if (!items.length) return null;
  const rows = items.slice(0, 5).map((one) =>
    h("article", { class: "example" }, h("p", { class: "prompt" }, one.prompt), h("p", { class: "hint" }, [when(one.created), one.checkpoint].filter(Boolean).join(" · "))),
  );
  return section(`Used in ${plural(Math.max(total ?? 0, items.length), "image batch", "image batches")}`, ...rows);
}

/** Everything the header says, folded away. */
export function metadata(/** @type {Detail} */ detail) {
  const keys = Object.keys(detail.metadata);
  if (!keys.length) return null;
  const fold = h("details", { class: "raw" }, h("summary", null, "Raw metadata", h("span", { class: "number" }, count(keys.length))));
  fold.addEventListener("toggle", () => {
    if (!fold.open || fold.querySelector("pre")) return;
    const text = JSON.stringify(detail.metadata, null, 2);
    fold.append(h("div", { class: "raw-head" }, copyButton(text, "the metadata")), h("pre", { tabIndex: 0 }, text));
  });
  return h("section", { class: "field", "aria-label": "Raw metadata" }, fold);
}
