// The page of the map: every LoRA a point, those that are alike beside each other, to look around in instead of reading.
import { ApiError, request } from "../api.js";
import { debounce, find, h, throttle } from "../dom.js";
import { live } from "../events.js";
import { count, plural } from "../format.js";
import { icon } from "../icons.js";
import { goTo } from "../pages.js";
import { nothing, trouble } from "../pages/parts.js";
import { query } from "../query.js";
import { Camera } from "./camera.js";
import { listen } from "./gestures.js";
import { inside } from "./lasso.js";
import { Legend } from "./legend.js";
import { forget, HoverCard } from "./loras.js";
import { Picked } from "./picked.js";
import { Points, unpackIds } from "./points.js";
import { Surface } from "./surface.js";

/** @typedef {import("./points.js").MapAnswer} MapAnswer */
/** @typedef {import("./points.js").MapState} MapState */
/** @typedef {"text"|"weights"} By */

/** @type {[By, string, string][]} */
const WAYS = [
  ["text", "By text", "What names, tags and descriptions say"],
  ["weights", "By weights", "What the files themselves change in the model"],
];
const REACH = 14;
const FAINT = 0.16;
const AGAIN_SECONDS = 4;

let over = new AbortController();
/** @type {{by: By, camera: Camera, scene: import("./surface.js").Scene, surface: Surface, legend: Legend, picked: Picked, card: HoverCard, note: HTMLElement, line: HTMLElement, cover: HTMLElement, matching: Set<number>|null, q: string, lasso: HTMLButtonElement, timer: number}} */
let page;

/** @returns {Promise<void>} */
export async function open(/** @type {HTMLElement} */ container) {
  over = new AbortController();
  const { signal } = over;
  const by = query.page === "map/weights" ? "weights" : "text";
  const camera = new Camera();
  /** @type {import("./surface.js").Scene} */
  const scene = { points: null, look: { colors: new Uint8Array(0), dim: new Uint8Array(0), palette: [], faint: FAINT }, picked: new Set(), pointed: -1, line: [] };
  const lasso = tool("lasso", "Select by drawing around (Shift)", () => lasso.setAttribute("aria-pressed", String(lasso.getAttribute("aria-pressed") !== "true")));
  lasso.setAttribute("aria-pressed", "false");
  page = {
    by, camera, scene, lasso, surface: new Surface(camera, scene), legend: new Legend(), picked: new Picked(), card: new HoverCard(),
    note: h("p", { class: "map-note" }), line: h("div", { class: "map-line", role: "status" }), cover: h("div", { class: "map-cover" }), matching: null, q: "", timer: 0,
  };
  const { surface, legend, picked, card } = page;
  find("#page-tools").append(searchBox(), ways());
  const zoom = h(
    "div",
    { class: "map-zoom", role: "toolbar", "aria-label": "Zoom" },
    lasso,
    tool("plus", "Nearer (+)", () => camera.step(1.6)),
    tool("minus", "Farther (−)", () => camera.step(1 / 1.6)),
    tool("fit", "All of it (0)", () => camera.fit()),
  );
  container.classList.add("map-body");
  container.append(surface.element, page.line, legend.element, zoom, picked.bar, page.note, card.element, page.cover);
  listen(surface.element, camera, { draws: () => lasso.getAttribute("aria-pressed") === "true", point, click, line: (line) => draw({ line }), drawn, key }, signal);
  camera.on("move", () => {
    surface.element.dataset["zoom"] = camera.zoom.toFixed(2);
    surface.ask();
  });
  picked.on("change", () => draw({ picked: picked.ids }, true));
  legend.on("change", colour);
  const sized = new ResizeObserver(() => surface.resize(inset()));
  sized.observe(surface.element);
  const themed = new MutationObserver(() => (surface.restyle(), void legend.refresh()));
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  signal.addEventListener("abort", () => [sized, themed].forEach((one) => one.disconnect()));
  surface.element.addEventListener("blur", () => point(null), { signal });
  const again = throttle(() => void load(), 1000);
  live.addEventListener("map.changed", (event) => /** @type {CustomEvent} */ (event).detail.by === page.by && again(), { signal });
  live.addEventListener("map.progress", (event) => /** @type {CustomEvent} */ (event).detail.by === page.by && progress(/** @type {CustomEvent} */ (event).detail.part), { signal });
  for (const type of ["library.changed", "lora.edited", "reset"]) live.addEventListener(type, () => (forget(), again()), { signal });
  await load();
}

export function close() {
  over.abort();
  clearTimeout(page.timer);
  page.surface.stop();
  page.card.hide();
}

/** How much of the right side the legend takes. */
const inset = () => (window.innerWidth > 720 ? page.legend.element.offsetWidth + 24 : 0);

/** @param {import("../icons.js").IconName} sign @param {string} label @param {() => void} run */
function tool(sign, label, run) {
  return h("button", { class: "icon-button", type: "button", title: label, "aria-label": label, onclick: run }, icon(sign));
}

function ways() {
  const buttons = WAYS.map(([by, text, about]) => {
    const button = h("button", { type: "button", title: about, "aria-pressed": String(by === page.by) }, text);
    button.addEventListener("click", () => goTo(by === "text" ? "map" : "map/weights"));
    return button;
  });
  return h("div", { class: "group", role: "group", "aria-label": "What the map is made from" }, ...buttons);
}

function searchBox() {
  const box = h("input", { type: "search", placeholder: "Find on the map", "aria-label": "Find on the map", autocomplete: "off", spellcheck: false });
  const later = debounce(() => void search(box), 200);
  box.addEventListener("input", later);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") surfaceFocus();
    if (event.key !== "Escape" || !box.value) return;
    event.stopPropagation();
    event.preventDefault();
    box.value = "";
    void search(box);
  });
  return h("div", { class: "map-search" }, icon("search"), box);
}

const surfaceFocus = () => page.surface.element.focus({ preventScroll: true });

async function search(/** @type {HTMLInputElement} */ box) {
  const mine = page;
  const q = box.value.trim();
  mine.q = q;
  box.removeAttribute("aria-invalid");
  try {
    const found = q ? unpackIds((await request("GET", `recommendations/map/ids?${hidden({ q })}`)).ids) : null;
    if (mine !== page || q !== mine.q) return;
    mine.matching = found && new Set(found);
    colour();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (q !== mine.q) return;
    box.setAttribute("aria-invalid", "true");
    box.title = error.message;
    mine.line.replaceChildren(h("span", { class: "refused" }, error.message));
  }
}

const hidden = (/** @type {Record<string, string>} */ more) => new URLSearchParams({ ...more, ...(query.filters.hidden ? { hidden: "1" } : {}) });

async function load() {
  const mine = page;
  clearTimeout(mine.timer);
  try {
    /** @type {MapAnswer} */
    const answer = await request("GET", `recommendations/map?${hidden({ by: mine.by })}`);
    if (mine !== page || over.signal.aborted) return;
    show(answer);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (mine !== page || mine.scene.points) return; // what is shown stays
    cover(trouble(error.message, () => void load()));
  }
}

function show(/** @type {MapAnswer} */ answer) {
  const { state } = answer;
  tell(state, answer);
  if (state.building || state.stale) page.timer = window.setTimeout(() => void load(), AGAIN_SECONDS * 1000); // the event may be missed
  if (!answer.count) return cover(waiting(state));
  const before = page.scene.points;
  const points = new Points(answer);
  page.scene.points = points;
  page.scene.pointed = -1;
  page.camera.side = points.side;
  cover(null);
  page.surface.element.setAttribute("aria-label", `Map of ${plural(points.count, "LoRA")}. Arrow keys move it, plus and minus zoom, 0 shows all. Enter opens the LoRA in the middle, Space selects it.`);
  page.surface.reset();
  if (!before) page.camera.emit("move");
  return void page.legend.show(points).then(() => page.surface.resize(inset()));
}

/** What stands in the map's place. */
function cover(/** @type {HTMLElement|null} */ content) {
  page.cover.hidden = !content;
  page.cover.replaceChildren(...(content ? [content] : []));
  for (const part of [page.legend.element, page.line]) part.hidden = Boolean(content);
}

function waiting(/** @type {MapState} */ { building, message, part }) {
  if (message) return trouble(message, () => void load());
  if (!building) return nothing("map", "Nothing on the map yet", ["LoRAs appear here as soon as there are some in your folders."]);
  const box = nothing("map", "The map is being drawn", ["LoRAs that are alike are put beside each other. With thousands of them this takes a while, and is done once."]);
  box.append(h("progress", { max: 1, "aria-label": "Drawing the map", ...(part ? { value: part } : {}) }));
  return box;
}

function progress(/** @type {number} */ part) {
  const bar = page.cover.querySelector("progress");
  if (bar) bar.value = part;
  const note = page.note.querySelector(".map-part");
  if (note) note.textContent = ` · being brought up to date, ${Math.round(part * 100)} %`;
}

/** What the map is made from. */
function tell(/** @type {MapState} */ state, /** @type {MapAnswer} */ { count: many }) {
  const source = {
    words: "Placed by words: names, tags and descriptions. With a text model it goes by meaning.",
    embeddings: `Placed by meaning, as ${state.model ?? "a text model"} reads it.`,
    weights: "Placed by what the weights change. Only LoRAs of one architecture can be compared.",
  };
  page.note.replaceChildren(many && state.source ? source[state.source] : "", h("span", { class: "map-part" }, many && state.building ? " · being brought up to date" : ""));
  if (many && state.message) page.note.append(` ${state.message}`);
}

/** Colours and what stands back, from the legend and the search. */
function colour() {
  const { scene, legend, matching } = page;
  const { points } = scene;
  if (!points) return;
  const dim = new Uint8Array(points.count);
  let on = 0;
  for (let at = 0; at < points.count; at += 1) {
    if (legend.isOn(at) && (!matching || matching.has(points.ids[at] ?? 0))) on += 1;
    else dim[at] = 1;
  }
  scene.look = { colors: legend.colors, palette: legend.palette, dim, faint: FAINT };
  const narrowed = legend.chosen.size > 0 || matching;
  page.line.replaceChildren(h("span", null, narrowed ? `${count(on)} of ${plural(points.count, "LoRA")}` : plural(points.count, "LoRA")));
  if (narrowed && on) page.line.append(h("button", { class: "quiet", type: "button", onclick: toLibrary }, icon("library"), "Show in library"), h("button", { class: "quiet", type: "button", onclick: selectShown }, "Select all"));
  page.surface.ask();
}

/** The library, narrowed to what the legend and the search leave. */
function toLibrary() {
  const { legend, q } = page;
  const chosen = [...legend.chosen];
  const tags = legend.by === "tag" ? chosen : [];
  const any = tags.length > 1 ? tags.map((tag) => `tag:"${tag}"`).join(" OR ") : "";
  query.clear();
  query.set({ q: any && q ? `(${q}) (${any})` : any || q, base_model: legend.by === "base_model" ? chosen : [], tag: tags.length === 1 ? tags : [] });
  goTo(null);
}

function selectShown() {
  const { points, look } = page.scene;
  if (points) page.picked.take([...points.ids].filter((_, at) => !look.dim[at]));
}

/** @param {Partial<import("./surface.js").Scene>} change @param {boolean} [dots] the points look otherwise, too */
function draw(change, dots = false) {
  Object.assign(page.scene, change);
  page.surface.ask(dots);
}

const mayBe = (/** @type {number} */ at) => !page.scene.look.dim[at];

function pointAt(/** @type {{x: number, y: number}} */ { x, y }, reach = REACH) {
  const { camera, scene } = page;
  const spot = camera.toMap(x, y);
  return scene.points?.nearest(spot.x, spot.y, reach / camera.scale, mayBe) ?? -1;
}

function point(/** @type {{x: number, y: number}|null} */ spot) {
  const { scene, card, camera, surface } = page;
  const pointed = spot ? pointAt(spot) : -1;
  surface.element.classList.toggle("pointing", pointed >= 0);
  const id = scene.points?.ids[pointed];
  if (spot && id !== undefined) card.show(id, spot, camera);
  else card.hide();
  if (pointed !== scene.pointed) draw({ pointed });
}

function click(/** @type {{x: number, y: number}} */ spot, /** @type {boolean} */ add) {
  const id = page.scene.points?.ids[pointAt(spot)];
  if (id === undefined) return add ? undefined : page.picked.clear();
  if (add || page.lasso.getAttribute("aria-pressed") === "true") return page.picked.toggle(id);
  return query.setOpen(id);
}

function drawn(/** @type {import("./lasso.js").Place[]} */ line, /** @type {boolean} */ add) {
  const { points } = page.scene;
  draw({ line: [] });
  if (points) page.picked.take(inside(points, line, mayBe).map((place) => points.ids[place] ?? 0), add && page.picked.ids.size > 0);
}

/** Keys that gestures leave: the LoRA nearest to the middle is meant. */
function key(/** @type {string} */ name) {
  const { camera, picked, scene } = page;
  if (name === "Escape" && picked.ids.size) return picked.clear(), true;
  if (name === "l") return page.lasso.click(), true;
  if (name !== "Enter" && name !== " ") return false;
  const place = pointAt(camera.middle, Math.max(camera.width, camera.height) / 3);
  const id = scene.points?.ids[place];
  if (id === undefined || !scene.points) return true;
  const spot = camera.toWindow(scene.points.x[place] ?? 0, scene.points.y[place] ?? 0);
  draw({ pointed: place });
  page.card.show(id, spot, camera);
  if (name === "Enter") query.setOpen(id);
  else picked.toggle(id);
  return true;
}
