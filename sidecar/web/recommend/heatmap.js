// How much stacked LoRAs pull on the same directions: the window with the figure, what it means, weights to try, and the map.
// Measured once; what a slider changes is worked out here.
import { ApiError, request } from "../api.js";
import { openDialog } from "../ask.js";
import { Weight } from "../compose/weight.js";
import { debounce, h } from "../dom.js";
import { count as counted, plural, weight as shown } from "../format.js";
import { icon } from "../icons.js";
import { nothing } from "../pages/parts.js";
import { cancelTask, tasks, whenDone } from "../tasks.js";
import { pullOf, pairsOf, rankedPairs, weighed } from "./heatmath.js";
import { verdictOf } from "./heatsay.js";
import { HeatTable, percent } from "./heattable.js";

/**
 * @typedef {import("./heatmath.js").Answer} Answer
 * @typedef {import("./heatmath.js").Stacked} Stacked
 * @typedef {import("./heatbutton.js").Stack} Stack
 */

const STYLE = "recommend/heatmap.css";
const MOST = 32;
const ASK_AGAIN = 250;

/** Open the window over the page. @param {Stack} stack @param {HTMLElement} opener has the focus again afterwards */
export function openHeat(stack, opener) {
  if (!document.querySelector(`link[href="${STYLE}"]`)) document.head.append(h("link", { rel: "stylesheet", href: STYLE }));
  new Heat(stack, opener);
}

class Heat {
  /** @param {Stack} stack @param {HTMLElement} opener */
  constructor(stack, opener) {
    this.stack = stack;
    this.over = new AbortController();
    /** @type {number|null} */
    this.task = null;
    this.body = h("div", { class: "heat" });
    this.dialog = openDialog("Interference", [this.body], { wide: true });
    this.dialog.classList.add("heat-dialog");
    this.again = debounce(() => void this.#weighAgain(), ASK_AGAIN);
    this.dialog.addEventListener("close", () => {
      this.over.abort();
      this.again.cancel();
      if (this.task !== null) void cancelTask(this.task).catch(() => {}); // it may have ended just now
      opener.focus({ preventScroll: true });
    });
    /** @type {Stacked[]} those that were compared, in the answer's order */
    this.loras = [];
    /** Which of the questions for new weights is the latest. */
    this.turn = 0;
    void this.load();
  }

  async load() {
    this.#busy("Looking at the prompt…");
    try {
      const members = await this.stack.members();
      if (this.over.signal.aborted) return;
      if (members.length < 2) return this.#say("Nothing to compare", ["Fewer than two LoRAs have an effect here as it is."]);
      const compared = members.length > MOST ? [...members].sort((a, b) => strength(b) - strength(a)).slice(0, MOST) : members;
      const answer = await this.#measure(compared);
      if (!answer || this.over.signal.aborted) return;
      const notes = members.length > MOST ? [`The ${MOST} strongest of ${counted(members.length)} are compared.`] : [];
      this.#show(answer, compared, [...notes, ...answer.notes]);
    } catch (error) {
      if (this.over.signal.aborted) return undefined;
      if (!(error instanceof ApiError)) throw error;
      if (error.code !== "not_comparable") return this.#say("This did not work", [error.message], true);
      const notes = /** @type {string[]} */ (error.detail ?? []);
      this.#say("Not comparable", notes.length ? notes : [error.message]);
    }
    return undefined;
  }

  /** @param {Stacked[]} members @returns {Promise<Answer|null>} null when it was stopped */
  async #measure(members) {
    const { signal } = this.over;
    const loras = members.map(({ name }) => ({ name, weight: 1 }));
    const ask = (/** @type {boolean} */ background) => request("POST", "recommendations/interference", { body: { loras, background } });
    const bar = this.#busy(`Comparing the weights of ${plural(loras.length, "LoRA")}…`);
    const answer = await ask(true);
    if (answer.task === undefined) return answer;
    this.task = answer.task;
    if (signal.aborted) void cancelTask(answer.task).catch(() => {}); // closed before the task was known
    tasks.addEventListener("task", (event) => {
      const { id, done, total } = /** @type {CustomEvent} */ (event).detail;
      if (id === answer.task && total) Object.assign(bar, { max: total, value: done });
    }, { signal });
    await whenDone(answer.task, { quiet: true });
    this.task = null;
    if (signal.aborted) return null;
    const { state, message } = tasks.known.get(answer.task) ?? { state: "failed", message: "" };
    if (state === "done") return ask(false);
    this.#say(state === "cancelled" ? "Stopped" : "This did not work", [state === "cancelled" ? "The comparison was stopped." : message || "The comparison failed."], true);
    return null;
  }

  /** @param {string} text @returns {HTMLProgressElement} */
  #busy(text) {
    const bar = h("progress", { "aria-label": text });
    this.body.replaceChildren(h("div", { class: "heat-busy", role: "status" }, h("p", null, text), bar, h("p", { class: "hint" }, "Large files take some seconds the first time. Closing this window stops it.")));
    return bar;
  }

  /** @param {string} title @param {string[]} lines @param {boolean} [again] */
  #say(title, lines, again = false) {
    const box = nothing(again ? "warn" : "info", title, [lines[0]]);
    box.append(...lines.slice(1).map((line) => h("p", null, line)));
    if (again) box.append(h("button", { class: "small-button", type: "button", onclick: () => void this.load() }, icon("refresh"), "Try again"));
    this.body.replaceChildren(box);
  }

  /** @param {Answer} answer @param {Stacked[]} members @param {string[]} notes */
  #show(answer, members, notes) {
    this.answer = answer;
    this.loras = answer.loras.flatMap(({ name }) => members.find((one) => one.name === name) ?? []);
    this.figure = h("strong", { class: "heat-figure" });
    this.meter = h("span", { class: "heat-meter" });
    this.text = h("p", { class: "heat-text", role: "status" });
    this.fix = h("button", { class: "small-button", type: "button" });
    this.fix.addEventListener("click", () => this.#follow());
    this.map = new HeatTable();
    this.rows = this.loras.map((lora) => this.#weight(lora));
    const told = [...notes, ...this.loras.flatMap(({ note }) => note || [])];
    const list = h("ul", { class: "heat-notes", "aria-label": "Left out" }, ...told.map((note) => h("li", null, icon("info"), h("span", null, note))));
    const pull = h("div", { class: "heat-pull", title: "How much of what they change goes the same or the opposite way, over all blocks and pairs: 0 % nothing, 100 % everything" }, this.figure, h("span", null, "pull"), this.meter);
    this.body.replaceChildren(h("div", { class: "heat-top" }, pull, h("div", { class: "heat-said" }, this.text, this.fix)), this.map.element, h("ul", { class: "heat-weights", "aria-label": "Weights" }, ...this.rows.map(({ element }) => element)));
    if (told.length) this.body.append(list);
    this.#draw();
  }

  /** One LoRA's weight, to try. @param {Stacked} lora */
  #weight(lora) {
    const title = h("span", { class: "heat-name", title: lora.title }, lora.title);
    if (lora.weight === null) return { element: h("li", null, title, h("span", { class: "hint", title: "It comes with a set or a draw, or stands there twice: its weight is changed there" }, shown(lora.unet[0] ?? 0))), control: null };
    const control = new Weight(lora.title, lora.usual, (weight) => this.#weigh(lora.id, weight));
    control.show(lora.weight);
    return { element: h("li", null, title, control.element), control };
  }

  #weigh(/** @type {number} */ id, /** @type {number} */ weight) {
    this.loras = this.loras.map((lora) => {
      if (lora.id !== id || lora.weight === null) return lora;
      const scaled = (/** @type {number} */ one) => (lora.weight ? (one * weight) / lora.weight : weight);
      return { ...lora, weight, te: scaled(lora.te), unet: lora.unet.map(scaled) };
    });
    this.#draw();
    this.stack.weigh(id, weight);
    this.again();
  }

  /** The host may read the new weights otherwise than in proportion. */
  async #weighAgain() {
    this.turn += 1;
    const mine = this.turn;
    try {
      const members = await this.stack.members();
      if (this.over.signal.aborted || mine !== this.turn) return;
      this.loras = this.loras.map((lora) => {
        const now = members.find(({ id }) => id === lora.id);
        return now ? { ...lora, te: now.te, unet: now.unet } : { ...lora, te: 0, unet: [0, 0, 0] };
      });
      this.#draw();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // what is shown stays in proportion
    }
  }

  #draw() {
    const { answer, figure, meter, text, fix, map, loras } = this;
    if (!answer || !figure || !meter || !text || !fix || !map) return;
    const columns = weighed(answer.blocks, loras);
    const pairs = rankedPairs(columns, loras.length);
    const pull = pullOf(columns, pairsOf(loras.length));
    const verdict = verdictOf(loras, columns, pairs);
    this.advice = verdict.advice;
    figure.textContent = percent(pull);
    meter.style.setProperty("--pull", `${Math.round(pull * 100)}%`);
    if (text.textContent !== verdict.text) text.textContent = verdict.text;
    fix.hidden = !verdict.advice;
    fix.textContent = verdict.advice?.label ?? "";
    fix.title = verdict.advice?.weights.map(({ id, weight }) => `${loras.find((lora) => lora.id === id)?.title}: ${shown(weight)}`).join(", ") ?? "";
    map.show(loras, columns, pairs);
  }

  #follow() {
    for (const { id, weight } of this.advice?.weights ?? []) {
      this.#weigh(id, weight);
      this.rows?.[this.loras.findIndex((lora) => lora.id === id)]?.control?.show(weight);
    }
  }
}

const strength = (/** @type {Stacked} */ { te, unet }) => Math.max(Math.abs(te), ...unet.map(Math.abs));
