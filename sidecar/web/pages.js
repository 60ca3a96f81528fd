// The app's pages besides the library, the way to them, and which one is shown; the address keeps it (#page=tags). What
// follows a slash in it is the page's own (#page=sets/12): another one opens the page anew.
//
// To add a page: write a module that exports
//     open(container)   draws the page into an empty <div class="page-body">; called each time it is gone to. May be async:
//                       until it returns the page counts as loading (a thin line of progress after 150 ms)
//     close()           it is left: drop listeners on `live`, `library`, … The container is emptied afterwards
// and add one line to PAGES. The module and everything that only it imports load on first use (no modulepreload in
// index.html), as do the style sheets it names. The page has its title above it already; `page-head` (frame.css) is
// for controls beside the title: put them there with `find("#page-tools").append(…)`. From a page: goTo(null) leads back to
// the library, query.setOpen(id) opens a LoRA's details beside it, offerUndo (undo.js) tells of a change.
// The slot for running tasks is `#tasks` in the header (tasks.js fills it, app.js starts it).
import { find, h } from "./dom.js";
import { icon } from "./icons.js";
import { openMenu } from "./popup.js";
import { query } from "./query.js";

/**
 * @typedef {object} PageModule
 * @property {(container: HTMLElement) => void|Promise<void>} open
 * @property {() => void} close
 *
 * @typedef {object} Page
 * @property {string} id as in the address
 * @property {string} title
 * @property {string} [short] under its icon, when the title is too long for that
 * @property {import("./icons.js").IconName} icon
 * @property {() => Promise<PageModule>} load
 * @property {string[]} [styles]
 */

/** @type {Page[]} in the order of the navigation */
const PAGES = [
  { id: "compose", title: "Composer", short: "Compose", icon: "prompt", load: () => import("./compose/compose.js"), styles: ["pages/pages.css", "sets/sets.css", "compose/compose.css"] },
  { id: "sets", title: "Sets", icon: "list", load: () => import("./sets/sets.js"), styles: ["pages/pages.css", "sets/sets.css"] },
  { id: "map", title: "Map", icon: "map", load: () => import("./map/map.js"), styles: ["pages/pages.css", "map/map.css"] },
  { id: "tags", title: "Tags", icon: "tag", load: () => import("./pages/tags.js"), styles: ["pages/pages.css", "pages/tags.css"] },
  { id: "duplicates", title: "Duplicates", icon: "layers", load: () => import("./duplicates/duplicates.js"), styles: ["pages/pages.css", "duplicates/duplicates.css"] },
  { id: "civitai", title: "Civitai", icon: "cloud", load: () => import("./civitai/civitai.js"), styles: ["pages/pages.css", "civitai/civitai.css"] },
  { id: "trash", title: "Trash", icon: "trash", load: () => import("./pages/trash.js"), styles: ["pages/pages.css"] },
  { id: "backups", title: "Backups", icon: "archive", load: () => import("./pages/backups.js"), styles: ["pages/pages.css"] },
  { id: "settings", title: "Settings", icon: "gear", load: () => import("./pages/settings.js"), styles: ["pages/pages.css"] },
];

/** @type {PageModule|null} the page that is open */
let shown = null;
/** Counts what was gone to, so that a page that loads slowly does not come up after another. */
let turn = 0;

/** The page that is asked for, null for the library. */
const wanted = () => query.page?.split("/")[0] ?? null;

/** Go to a page; null is the library. */
export const goTo = (/** @type {string|null} */ id) => query.setPage(id);

export function startPages() {
  const links = [{ id: "", title: "Library", icon: /** @type {const} */ ("library") }, ...PAGES].map((page) => {
    const short = "short" in page ? page.short : undefined;
    const link = h("a", { href: page.id ? `#page=${page.id}` : "#", "data-page": page.id, title: page.title }, icon(page.icon), h("span", null, short ?? page.title));
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // another tab or window
      event.preventDefault();
      goTo(page.id || null);
    });
    return link;
  });
  find("#pages").append(...links);
  const menu = find("#menu-button");
  menu.addEventListener("click", () => {
    const items = [{ id: null, title: "Library", icon: /** @type {const} */ ("library") }, ...PAGES];
    openMenu(menu, "Pages", items.map(({ id, title, icon: sign }) => ({ label: title, icon: sign, checked: wanted() === id, run: () => goTo(id) })));
  });
  query.on("page", () => void show());
  void show();
}

async function show() {
  turn += 1;
  const mine = turn;
  const page = PAGES.find(({ id }) => id === wanted());
  for (const link of find("#pages").children) {
    if (!(link instanceof HTMLElement)) continue;
    if (link.dataset["page"] === (page?.id ?? "")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const place = find("#page");
  shown?.close();
  shown = null;
  place.hidden = !page;
  document.body.classList.toggle("page-open", Boolean(page));
  for (const part of [find("#rail"), find("main")]) part.inert = Boolean(page);
  document.title = page ? `${page.title} · LoRA Manager` : "LoRA Manager";
  if (!page) return place.replaceChildren();
  const body = h("div", { class: "page-body" });
  const heading = h("h1", { tabIndex: -1 }, page.title);
  place.replaceChildren(h("header", { class: "page-head" }, heading, h("div", { id: "page-tools" })), body);
  place.setAttribute("aria-label", page.title);
  const slow = setTimeout(() => place.classList.add("loading"), 150);
  try {
    const [module] = await Promise.all([page.load(), ...(page.styles ?? []).map(loadStyle)]);
    if (mine !== turn) return undefined;
    shown = module;
    await module.open(body);
    if (mine === turn && document.activeElement === document.body) heading.focus({ preventScroll: true });
  } catch (error) {
    if (mine === turn) body.replaceChildren(failed());
    throw error;
  } finally {
    clearTimeout(slow);
    if (mine === turn) place.classList.remove("loading");
  }
  return undefined;
}

/** The page's files did not load; the browser remembers a failed import, so only a reload helps. */
function failed() {
  const again = h("button", { class: "small-button", type: "button", onclick: () => location.reload() }, icon("refresh"), "Reload");
  return h("div", { class: "page-failed" }, h("p", null, "This page could not be loaded. LoRA Manager may be restarting."), again);
}

/** @returns {Promise<void>} */
function loadStyle(/** @type {string} */ name) {
  if (document.querySelector(`link[href="${name}"]`)) return Promise.resolve();
  const link = h("link", { rel: "stylesheet", href: name });
  document.head.append(link);
  return new Promise((done) => {
    link.addEventListener("load", () => done());
    link.addEventListener("error", () => done()); // the page works without, and says nothing wrong
  });
}
