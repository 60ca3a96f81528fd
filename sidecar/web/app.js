// Starts the page and connects its parts; what each part does is in its own module.
import { runMainAction, toggleFavorite } from "./actions.js";
import { readLora, ApiError } from "./api.js";
import { bridge } from "./bridge.js";
import { collections } from "./collections.js";
import { find, h, throttle } from "./dom.js";
import "./drawer.js";
import { startEmpty } from "./empty.js";
import { live } from "./events.js";
import "./grid.js";
import { icon } from "./icons.js";
import { startKeys } from "./keys.js";
import { library } from "./library.js";
import { preferences } from "./preferences.js";
import { startPages } from "./pages.js";
import { query } from "./query.js";
import "./rail/rail.js";
import { startSheet } from "./rail/sheet.js";
import { startBar } from "./select/bar.js";
import { startDrag } from "./select/drag.js";
import { startSignIn, takeToken } from "./signin.js";
import { refreshStatus, startStatus } from "./status.js";
import { startTasks, tasks } from "./tasks.js";
import { startTheme } from "./theme.js";
import { startToolbar } from "./toolbar.js";
import { undoing } from "./undo.js";

/** @typedef {import("./types.js").Lora} Lora */
/** @typedef {import("./grid.js").LoraGrid} LoraGrid */
/** @typedef {import("./drawer.js").LoraDrawer} LoraDrawer */

const grid = /** @type {LoraGrid} */ (find("lora-grid"));
const drawer = /** @type {LoraDrawer} */ (find("lora-drawer"));

function drawIcons() {
  for (const place of document.querySelectorAll("[data-icon]")) {
    if (place instanceof HTMLElement) place.prepend(icon(/** @type {import("./icons.js").IconName} */ (place.dataset["icon"])));
  }
}

const details = (/** @type {Lora} */ lora) => query.setOpen(lora.id);
const on = (/** @type {EventTarget} */ from, /** @type {string} */ type, /** @type {(detail: any) => void} */ call) =>
  from.addEventListener(type, (event) => call(/** @type {CustomEvent} */ (event).detail));

function connectGrid() {
  on(grid, "main", (lora) => runMainAction(lora, details));
  on(grid, "details", (lora) => (query.open === lora.id ? drawer.dismiss() : details(lora)));
  on(grid, "favorite", (lora) => void toggleFavorite(lora));
  on(grid, "active", (lora) => drawer.follow(lora));
  on(drawer, "step", (by) => {
    const at = library.indexOf(query.open ?? -1);
    grid.activate((at < 0 ? grid.active : at) + by, { focus: false });
    const lora = library.get(grid.active);
    if (lora) query.setOpen(lora.id);
  });
  on(drawer, "dismissed", (index) => grid.activate(index >= 0 ? index : grid.active));
}

function connectEvents() {
  live.on("library.changed", throttle(() => void library.refresh(), 1000));
  live.on("reset", () => void library.refresh());
  live.on("polled", () => void library.refresh());
  undoing.on("undone", () => void library.reload({ keepPlace: true }));
  live.on("generation.recorded", () => query.open !== null && void drawer.reread(query.open));
  live.on("lora.edited", async ({ id }) => {
    if (query.open === id) return void drawer.reread(id);
    if (!library.byId(id)) return;
    try {
      library.patch(id, await readLora(id));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // gone meanwhile: library.changed follows
    }
  });
}

async function begin() {
  void refreshStatus();
  await library.reload();
  if (library.error?.status === 401) return;
  void preferences.load();
  void tasks.load();
  void collections.load();
  live.start();
  live.retry();
}

document.documentElement.classList.toggle("framed", window.parent !== window);
drawIcons();
startTheme();
bridge.start();
startSignIn(() => void begin());
await takeToken();
query.start();
startStatus();
startToolbar(grid);
startPages();
startTasks();
preferences.start();
collections.start();
startBar();
startDrag(grid);
startEmpty();
connectGrid();
connectEvents();
startKeys(grid, drawer, startSheet());
find("#place-holders").append(...Array.from({ length: 24 }, () => h("div", { class: "skeleton card-shape" })));
const settled = () => (find("#place-holders").hidden = true);
library.on("reset", settled);
library.on("error", settled);
void begin();
