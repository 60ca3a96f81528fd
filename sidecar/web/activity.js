// The panel behind the clock in the bar: tasks that run or ended, and what was changed, with a way to take it back.
import { ApiError, request } from "./api.js";
import { attempt } from "./ask.js";
import { h } from "./dom.js";
import { ago, bytes, count } from "./format.js";
import { icon } from "./icons.js";
import { cancelTask, tasks } from "./tasks.js";
import { undo, undoing } from "./undo.js";

/** @typedef {import("./types.js").Task} Task */
/** @typedef {{id: number, created: number, summary: string, count: number, state: string}} Action */

const CHANGES = 50;
/** Numbers of a result that people want to know. */
const COUNTS = ["done", "changed", "looked_up", "found", "not_found", "newer", "updates", "imported", "unknown", "removed", "failed"];
/** @type {"tasks"|"changes"} */
let tab = "tasks";

/** Draw the panel; it follows what happens until it is emptied. */
export function drawActivity(/** @type {HTMLElement} */ panel) {
  const body = h("div", { class: "activity-body" });
  const over = new AbortController();
  const choices = /** @type {const} */ (["tasks", "changes"]).map((name) => {
    const button = h("button", { type: "button", role: "tab", id: `activity-${name}`, "aria-controls": "activity-body" }, name === "tasks" ? "Tasks" : "Changes");
    button.addEventListener("click", () => choose(name));
    return button;
  });
  body.id = "activity-body";
  body.setAttribute("role", "tabpanel");
  const choose = (/** @type {"tasks"|"changes"} */ name) => {
    tab = name;
    for (const button of choices) {
      const on = button.id === `activity-${name}`;
      button.setAttribute("aria-selected", String(on));
      button.tabIndex = on ? 0 : -1;
    }
    body.setAttribute("aria-labelledby", `activity-${name}`);
    body.replaceChildren();
    if (name === "tasks") drawTasks(body);
    else void drawChanges(body);
  };
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Tasks and changes" }, ...choices);
  tabs.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    choose(tab === "tasks" ? "changes" : "tasks");
    choices[tab === "tasks" ? 0 : 1]?.focus();
  });
  panel.replaceChildren(tabs, body);
  choose(tab);
  const { signal } = over;
  panel.addEventListener("toggle", (event) => event.newState === "closed" && over.abort(), { signal });
  const redraw = () => tab === "tasks" && drawTasks(body);
  tasks.addEventListener("task", redraw, { signal });
  tasks.addEventListener("all", redraw, { signal });
  undoing.addEventListener("undone", () => tab === "changes" && void drawChanges(body), { signal });
}

/** Rows are kept as they get on, so that nothing moves under the pointer. */
function drawTasks(/** @type {HTMLElement} */ body) {
  const { items } = tasks;
  if (!items.length) return body.replaceChildren(h("p", { class: "hint" }, "Nothing runs, and nothing ran since the sidecar started."));
  body.querySelector("p.hint")?.remove();
  /** @type {Map<string|undefined, Element>} */
  const rows = new Map([...body.children].map((row) => [row instanceof HTMLElement ? row.dataset["task"] : undefined, row]));
  const order = items.sort((a, b) => Number(b.state === "running") - Number(a.state === "running") || b.id - a.id);
  for (const [at, task] of order.entries()) {
    const key = `${task.id}`;
    const row = rows.get(key) ?? h("div", { "data-task": key });
    rows.delete(key);
    fillTask(/** @type {HTMLElement} */ (row), task);
    if (body.children[at] !== row) body.insertBefore(row, body.children[at] ?? null);
  }
  for (const row of rows.values()) row.remove();
  return undefined;
}

function fillTask(/** @type {HTMLElement} */ row, /** @type {Task} */ task) {
  const running = task.state === "running";
  if (row.dataset["state"] !== task.state) {
    row.dataset["state"] = task.state;
    row.className = `task ${task.state}`;
    const stop = h("button", { class: "small-button", type: "button", "aria-label": `Stop: ${task.title}` }, "Stop");
    stop.addEventListener("click", () => void attempt(() => cancelTask(task.id), { button: stop }));
    const bar = h("progress", { "aria-label": task.title });
    row.replaceChildren(h("div", { class: "task-title" }, h("strong", null, task.title), running ? stop : h("span", { class: "number" }, task.started ? ago(task.started) : "")), running ? bar : "", h("p", { class: "hint" }));
  }
  const bar = row.querySelector("progress");
  if (bar && task.total > 0) [bar.max, bar.value] = [task.total, Math.min(task.done, task.total)];
  const text = row.querySelector("p");
  if (text) text.textContent = running ? progressText(task) : resultText(task);
}

function progressText(/** @type {Task} */ task) {
  const done = task.total > 0 ? `${count(task.done)} of ${count(task.total)}` : task.done ? count(task.done) : "";
  return [done, task.message].filter(Boolean).join(" · ") || "Beginning…";
}

/** What a task's result says, in words: the numbers in it that count something. */
function resultText(/** @type {Task} */ task) {
  if (task.state === "failed") return task.message || "It failed.";
  const told = COUNTS.filter((key) => typeof task.result?.[key] === "number").map((key) => `${count(task.result[key])} ${key.replaceAll("_", " ")}`);
  const text = [...told, typeof task.result?.size === "number" ? bytes(task.result.size) : ""].filter(Boolean).join(", ");
  if (task.state === "cancelled") return `Stopped${text ? `: ${text}` : task.done ? ` after ${count(task.done)}` : ""}.`;
  return text || "Done.";
}

async function drawChanges(/** @type {HTMLElement} */ body) {
  /** @type {Action[]} */
  let items;
  try {
    items = (await request("GET", `actions?limit=${CHANGES}`)).items;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return body.replaceChildren(h("p", { class: "hint" }, error.message));
  }
  if (tab !== "changes") return undefined;
  if (!items.length) return body.replaceChildren(h("p", { class: "hint" }, "Nothing was changed yet. Edits, moves and deletions are listed here, and can be taken back."));
  const rows = items.map((one) => {
    const back = h("button", { class: "small-button", type: "button", "aria-label": `Undo: ${one.summary}` }, icon("undo"), "Undo");
    back.addEventListener("click", async () => {
      back.disabled = true;
      await undo({ id: one.id, text: one.summary });
      if (back.isConnected) back.disabled = false;
    });
    const note = one.state === "undone" ? h("span", { class: "number" }, "undone") : back;
    return h("div", { class: `change ${one.state}` }, h("div", null, h("span", null, one.summary), h("span", { class: "hint" }, ago(one.created))), note);
  });
  return body.replaceChildren(...rows);
}
