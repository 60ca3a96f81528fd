// The parts of the drawer that only show: description, training, example prompts, history.
import { copy, useWords } from "../actions.js";
import { address } from "../api.js";
import { bridge } from "../bridge.js";
import { h } from "../dom.js";
import { count, plural, sourceName, when, words } from "../format.js";
import { icon } from "../icons.js";
import { openMenu } from "../popup.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {import("../types.js").Example} Example */

const TAGS_SHOWN = 24;
const EXAMPLES_SHOWN = 20;
const VIDEO = /\.(mp4|webm)(?=$|[?#])/i;

/** @param {string} title @param {...import("../dom.js").Child} children */
export function section(title, ...children) {
  return h("section", { class: "field", "aria-label": title }, h("div", { class: "field-head" }, h("h3", null, title)), ...children);
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
  const element = section("Description", host, more);
  const from = detail.sources["description"];
  if (from) element.querySelector("h3")?.after(h("span", { class: "source" }, sourceName(from)));
  const pictures = detail.pictures?.length ?? 0;
  if (!pictures) return element;
  const place = h("div", { class: "description-pictures" });
  const paths = Array.from({ length: pictures }, (_, at) => `api/v1/loras/${detail.id}/pictures/${at}`);
  loadPictures(element, pictures, () => place.append(...paths.map((path, at) => remotePicture(path, `Picture ${at + 1} of the description`))));
  element.append(place);
  return element;
}

/**
 * A button in a section's head that loads pictures from elsewhere, through the sidecar. Nothing is loaded before.
 * @param {HTMLElement} element @param {number} pictures @param {() => void} load
 */
function loadPictures(element, pictures, load) {
  const text = pictures === 1 ? "Load picture" : `Load ${pictures} pictures`;
  const button = h("button", { class: "quiet load-pictures", type: "button", title: "LoRA Manager fetches them from the site they are on, and keeps them" }, icon("image"), text);
  button.addEventListener("click", () => {
    button.remove();
    load();
  });
  element.querySelector(".field-head")?.append(button);
}

function remotePicture(/** @type {string} */ path, /** @type {string} */ alt) {
  const picture = h("img", { class: "example-picture", alt, loading: "lazy", decoding: "async", src: address(path).href });
  picture.addEventListener("error", () => picture.replaceWith(h("p", { class: "hint" }, `${alt} could not be fetched.`)));
  return picture;
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

/**
 * Example prompts. Their pictures lie elsewhere: the sidecar fetches them when the user says so, the page never does.
 * @param {Detail} detail
 * @param {(url: string) => void} preview makes the picture at an address the preview
 */
export function examples(detail, preview) {
  const shown = detail.examples.map((one, at) => ({ one, at })).filter(({ one }) => one.prompt || one.url).slice(0, EXAMPLES_SHOWN);
  if (!shown.length) return null;
  const articles = shown.map(({ one }) => example(one, preview));
  const element = section("Example prompts", ...articles);
  const pictured = shown.map(({ one, at }, index) => ({ one, at, article: articles[index] })).filter(({ one }) => one.url && !VIDEO.test(one.url));
  if (!pictured.length) return element;
  loadPictures(element, pictured.length, () => {
    for (const { at, article } of pictured) article?.prepend(remotePicture(`api/v1/loras/${detail.id}/examples/${at}/picture`, `Picture of example ${at + 1}`));
  });
  return element;
}

function example(/** @type {Example} */ one, /** @type {(url: string) => void} */ preview) {
  const { url } = one;
  const facts = [one.sampler, one.steps && `${one.steps} steps`, one.cfg && `CFG ${one.cfg}`, one.size, one.seed !== null && one.seed !== undefined && `seed ${one.seed}`, one.checkpoint];
  const prompt = one.prompt ?? "";
  const negative = one.negative_prompt;
  return h(
    "article",
    { class: "example" },
    prompt && promptText(prompt),
    negative && h("p", { class: "negative" }, h("span", null, "Negative "), negative),
    h("p", { class: "hint" }, facts.filter(Boolean).join(" · ")),
    h(
      "div",
      { class: "example-actions" },
      composeButton(prompt, negative ?? ""),
      bridge.host && prompt && h("button", { class: "small-button", type: "button", onclick: () => useWords(prompt) }, icon("plus"), "Add to prompt"),
      bridge.host && negative && h("button", { class: "small-button", type: "button", onclick: () => bridge.appendNegative(negative) }, icon("plus"), "Add negative"),
      prompt && h("button", { class: "small-button", type: "button", onclick: () => void copy(prompt, "the prompt") }, icon("copy"), "Copy"),
      negative && h("button", { class: "small-button", type: "button", onclick: () => void copy(negative, "the negative prompt") }, icon("copy"), "Copy negative"),
      url && h("button", { class: "small-button", type: "button", title: "Fetches the picture and keeps it beside the file", onclick: () => preview(url) }, icon("image"), "Use as preview"),
      outside(url, "Open"),
    ),
  );
}

/** Opens a prompt in the composer. */
function composeButton(/** @type {string} */ prompt, /** @type {string} */ negative) {
  if (!prompt) return null;
  const open = async () => (await import("../compose/open.js")).openInComposer(prompt, negative);
  return h("button", { class: "small-button", type: "button", onclick: () => void open() }, icon("prompt"), "Open in composer");
}

/** A prompt, cut after some lines until it is clicked. */
function promptText(/** @type {string} */ prompt) {
  const box = h("p", { class: "prompt", tabIndex: 0, title: "Click to show all of it" }, prompt);
  const open = () => box.classList.toggle("whole");
  box.addEventListener("click", () => getSelection()?.isCollapsed !== false && open());
  box.addEventListener("keydown", (event) => event.key === "Enter" && open());
  return box;
}

/** A link away from this machine; only for addresses that a browser should open. */
export function outside(/** @type {string|null|undefined} */ url, /** @type {string} */ text) {
  if (!url || !/^https?:\/\//i.test(url)) return null;
  return h("a", { class: "outside", href: url, target: "_blank", rel: "noopener noreferrer", referrerPolicy: "no-referrer" }, text, icon("external"));
}

/**
 * The last image batches made with it.
 * @param {{items: import("../types.js").Generation[], total: number}} past
 * @param {(generation: number, image: number) => void} preview makes one of its pictures the preview
 */
export function history({ items, total }, preview) {
  if (!items.length) return null;
  const rows = items.slice(0, 5).map((one) => {
    const pictures = one.images?.length ?? 0;
    const use = h("button", { class: "small-button", type: "button", "aria-haspopup": pictures > 1 ? "menu" : undefined }, icon("image"), pictures > 1 ? "Use a picture as preview" : "Use as preview");
    use.addEventListener("click", () => {
      if (pictures === 1) return preview(one.id, 0);
      return openMenu(use, "Pictures", (one.images ?? []).map((path, at) => ({ label: path.split(/[\\/]/).pop() || `Picture ${at + 1}`, icon: "image", run: () => preview(one.id, at) })));
    });
    return h(
      "article",
      { class: "example" },
      promptText(one.prompt),
      h("p", { class: "hint" }, [when(one.created), one.checkpoint, one.seed !== null && one.seed !== undefined && `seed ${one.seed}`].filter(Boolean).join(" · ")),
      h("div", { class: "example-actions" }, composeButton(one.prompt, one.negative_prompt), pictures > 0 && use),
    );
  });
  return section(`Used in ${plural(Math.max(total ?? 0, items.length), "image batch", "image batches")}`, ...rows);
}
