// Longer work of the sidecar: the button in the bar that shows what runs, and whenDone() for whoever waits for a result.
// What is in its panel is drawn by activity.js, loaded when it is opened first.
import { ApiError, request } from "./api.js";
import { Emitter, find, h } from "./dom.js";
import { live } from "./events.js";
import { plural } from "./format.js";
import { icon } from "./icons.js";
import { toast } from "./toast.js";

/** @typedef {import("./types.js").Task} Task */

const KEPT = 60;
const ASK_AGAIN = 2000;

/** Emits "task" with each one that begins, gets on or ends, and "all" when the whole list is new. */
class Tasks extends Emitter {
  constructor() {
    super();
    /** @type {Map<number, Task>} */
    this.known = new Map();
  }

  /** Newest first. */
  get items() {
    return [...this.known.values()].sort((a, b) => b.id - a.id);
  }

  get running() {
    return this.items.filter(({ state }) => state === "running");
  }

  take(/** @type {Task} */ task) {
    const before = this.known.get(task.id);
    if (before && before.state !== "running" && task.state === "running") return; // an answer that was on its way longer
    this.known.set(task.id, { ...before, ...task });
    for (const old of this.items.slice(KEPT)) if (old.state !== "running") this.known.delete(old.id);
    this.emit("task", task);
  }

  async load() {
    try {
      const { items } = await request("GET", "tasks");
      this.known = new Map(items.map((/** @type {Task} */ task) => [task.id, task]));
      this.emit("all");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the page says that the sidecar is away
    }
  }
}

export const tasks = new Tasks();

/**
 * Wait for a task's end. A failure or a stop is told here.
 * @param {number} id
 * @param {{quiet?: boolean}} [options] quiet: that it was stopped is not told
 * @returns {Promise<any>} its result; null when there is none
 */
export function whenDone(id, { quiet = false } = {}) {
  return new Promise((done) => {
    const over = new AbortController();
    const look = (/** @type {Task|undefined} */ task) => {
      if (task?.id !== id || task.state === "running" || over.signal.aborted) return;
      over.abort();
      if (task.state === "failed") toast(`${task.title}: ${task.message || "it failed."}`, { kind: "error" });
      else if (task.state === "cancelled" && !quiet) toast(`${task.title}: stopped. What was done so far stays.`);
      done(task.state === "done" ? task.result : null);
    };
    const ask = async () => {
      try {
        const task = await request("GET", `tasks/${id}`);
        tasks.take(task); // shown as running before its first step
        look(task);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 404) look(/** @type {Task} */ ({ id, title: "The task", state: "failed", message: "the sidecar was started anew meanwhile." }));
      }
    };
    tasks.addEventListener("task", (event) => look(/** @type {CustomEvent} */ (event).detail), { signal: over.signal });
    const timer = setInterval(() => void ask(), ASK_AGAIN); // messages may not get through
    over.signal.addEventListener("abort", () => clearInterval(timer));
    if (tasks.known.has(id)) look(tasks.known.get(id));
    else void ask();
  });
}

export const cancelTask = (/** @type {number} */ id) => request("POST", `tasks/${id}/cancel`);

export function startTasks() {
  const ring = h("span", { class: "ring", "aria-hidden": "true" });
  const number = h("span", { class: "badge", hidden: true });
  const button = h("button", { id: "tasks-button", class: "icon-button", type: "button", title: "Tasks and changes" }, icon("clock"), ring, number);
  const panel = h("div", { id: "activity-panel", role: "dialog", "aria-label": "Tasks and changes" });
  panel.popover = "auto";
  button.popoverTargetElement = panel;
  find("#tasks").replaceChildren(button);
  document.body.append(panel);
  panel.addEventListener("toggle", async (event) => {
    if (event.newState !== "open") return panel.replaceChildren();
    const { drawActivity } = await import("./activity.js");
    if (panel.matches(":popover-open")) drawActivity(panel);
    return undefined;
  });
  const draw = () => {
    const { running } = tasks;
    const known = running.filter(({ total }) => total > 0);
    const part = known.length && known.length === running.length ? known.reduce((sum, { done, total }) => sum + Math.min(1, done / total), 0) / known.length : 0;
    button.classList.toggle("running", running.length > 0);
    button.classList.toggle("unsure", running.length > 0 && part === 0);
    ring.style.setProperty("--part", part.toFixed(3));
    number.hidden = running.length === 0;
    number.textContent = String(running.length);
    button.setAttribute("aria-label", running.length ? `Tasks and changes: ${plural(running.length, "task")} running` : "Tasks and changes");
  };
  tasks.on("task", draw);
  tasks.on("all", draw);
  live.on("task", (task) => tasks.take(task));
  live.on("reset", () => void tasks.load());
  live.on("up", () => void tasks.load());
  live.on("polled", () => void tasks.load());
  draw();
}
