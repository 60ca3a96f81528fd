// A quiet line under the host's prompt boxes: what would go wrong with the LoRAs of the prompt, before an image is made,
// and what mends it with one click. There is no line where there is no problem.
"use strict";

(() => {
  /**
   * @typedef {"prompt" | "negative_prompt"} Field
   * @typedef {{field: Field, start: number, end: number, text: string}} Change
   * @typedef {{label: string, changes: Change[]}} Fix
   * @typedef {{level: "error" | "warning" | "info", code: string, message: string, field: Field, start: number, end: number, fixes: Fix[]}} Problem
   * @typedef {{texts: Record<Field, string>, problems: Problem[], asking: AbortController | null, unfolded: Set<Field>}} Tab
   */

  const WAIT = 400;
  const AFTER_FIX = 30;
  /** So many problems are shown at once, the others when they are asked for. */
  const SHOWN = 2;
  const MOST_FIXES = 3;
  const LONGEST = 200_000;
  /** What is only not finished while somebody types. */
  const UNFINISHED = ["unclosed_tag", "unbalanced_brackets"];
  /** @type {Field[]} */
  const FIELDS = ["prompt", "negative_prompt"];

  const shared = () => /** @type {Window & {loraManagerPrompts?: LoraManagerPrompts}} */ (window).loraManagerPrompts;

  /** @type {Map<string, Tab>} */
  const tabs = new Map();
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  const timers = new Map();
  /** What each line shows now, so that nothing is made anew under the pointer. @type {WeakMap<Element, string>} */
  const looks = new WeakMap();

  /** @param {HTMLTextAreaElement} box */
  const tabOf = (box) => (box.closest("[id$=_prompt]")?.id ?? "").replace(/_(neg_)?prompt$/, "");

  /** @param {string} name @param {Field} field @returns {HTMLTextAreaElement | null} */
  const boxOf = (name, field) => shared()?.root().querySelector(`#${name}_${field === "prompt" ? "prompt" : "neg_prompt"} textarea`) ?? null;

  /** @param {string} name @returns {Tab} */
  function tabNamed(name) {
    const tab = tabs.get(name) ?? { texts: { prompt: "", negative_prompt: "" }, problems: [], asking: null, unfolded: new Set() };
    tabs.set(name, tab);
    return tab;
  }

  /** Look at the prompt of a tab once nobody has typed in it for a while. @param {string} name @param {number} [wait] */
  function lookSoon(name, wait = WAIT) {
    clearTimeout(timers.get(name));
    tabs.get(name)?.asking?.abort();
    timers.set(name, setTimeout(() => void look(name), wait));
  }

  /** @param {string} name */
  async function look(name) {
    const tab = tabNamed(name);
    const texts = { prompt: boxOf(name, "prompt")?.value ?? "", negative_prompt: boxOf(name, "negative_prompt")?.value ?? "" };
    const length = texts.prompt.length + texts.negative_prompt.length;
    const empty = !texts.prompt.trim() && !texts.negative_prompt.trim();
    tab.asking?.abort();
    tab.asking = new AbortController();
    const { signal } = tab.asking;
    const unwanted = empty || length > LONGEST || shared()?.mode() === "off";
    const answer = unwanted ? null : await shared()?.request("prompts/lint", wellFormed(texts), signal);
    if (signal.aborted) return;
    tab.texts = texts;
    tab.problems = /** @type {Problem[]} */ (answer?.problems ?? []).filter((one) => one.level !== "info");
    draw(name);
  }

  /** A half of a surrogate pair is no character. @param {Record<Field, string>} texts */
  const wellFormed = (texts) => Object.fromEntries(FIELDS.map((field) => [field, texts[field].replace(/[\uD800-\uDFFF]/gu, "\uFFFD")]));

  /** Whether a problem is one of a text that is being written right now. @param {Problem} problem @param {HTMLTextAreaElement} box */
  function isBeingWritten(problem, box) {
    if (shared()?.root().querySelector("textarea:focus") !== box) return false;
    if (problem.code === "unbalanced_brackets") return true;
    const caret = shared()?.charactersOf(box.value, box.selectionStart) ?? 0;
    return problem.start < caret && (caret < problem.end || (caret === problem.end && UNFINISHED.includes(problem.code)));
  }

  /** @template {keyof HTMLElementTagNameMap} T @param {T} tag @param {string} className @param {...(Node | string)} children */
  function make(tag, className, ...children) {
    const element = document.createElement(tag);
    element.className = className;
    element.append(...children);
    return element;
  }

  /** @param {string} name */
  function draw(name) {
    const tab = tabNamed(name);
    for (const field of FIELDS) {
      const box = boxOf(name, field);
      const foot = box ? shared()?.footOf(box) : null;
      if (!box || !foot) continue;
      let line = foot.querySelector(":scope > .lora-manager-problems");
      line?.classList.toggle("lora-manager-problems-stale", tab.texts[field] !== box.value);
      if (tab.texts[field] !== box.value) continue; // what is there stays until it is known what holds now
      const problems = tab.problems.filter((one) => one.field === field && !isBeingWritten(one, box));
      const shown = tab.unfolded.has(field) ? problems : problems.slice(0, SHOWN);
      const look = JSON.stringify([problems, shown.length]);
      if (problems.length === 0 && !line) continue;
      if (!line) {
        line = make("div", "lora-manager-problems");
        line.setAttribute("role", "status");
        line.setAttribute("aria-label", "LoRA Manager");
        foot.prepend(line);
      }
      line.classList.toggle("lora-manager-dark", shared()?.isDark(box) ?? false);
      if (looks.get(line) === look) continue;
      looks.set(line, look);
      line.replaceChildren(...shown.map((one) => row(name, one)));
      if (problems.length > SHOWN) line.append(foldButton(name, field, problems.length - SHOWN));
      shared()?.makeRoom(box);
    }
  }

  /** @param {string} name @param {Problem} problem */
  function row(name, problem) {
    const message = make("span", "lora-manager-problems-message", problem.message);
    const line = make("div", `lora-manager-problems-row lora-manager-problems-${problem.level}`, message);
    line.title = problem.level === "error" ? "Error" : "Warning";
    for (const fix of problem.fixes.slice(0, MOST_FIXES)) {
      const button = make("button", "lora-manager-problems-fix", fix.label);
      button.type = "button";
      button.addEventListener("click", () => mend(name, fix));
      line.append(button);
    }
    return line;
  }

  /** @param {string} name @param {Field} field @param {number} more */
  function foldButton(name, field, more) {
    const { unfolded } = tabNamed(name);
    const button = make("button", "lora-manager-problems-more", unfolded.has(field) ? "Show fewer" : `${more} more`);
    button.type = "button";
    button.addEventListener("click", () => {
      if (!unfolded.delete(field)) unfolded.add(field);
      draw(name);
    });
    return button;
  }

  /** Make the changes of a fix, one edit for each box, so that one undo takes it back. @param {string} name @param {Fix} fix */
  function mend(name, fix) {
    const tab = tabNamed(name);
    for (const field of FIELDS) {
      const box = boxOf(name, field);
      const changes = fix.changes.filter((one) => one.field === field).sort((one, other) => one.start - other.start);
      const text = tab.texts[field];
      if (!box || changes.length === 0 || box.value !== text) continue;
      const units = (/** @type {number} */ characters) => shared()?.unitsOf(text, characters) ?? 0;
      const start = units(changes[0]?.start ?? 0);
      let at = start;
      let written = "";
      for (const change of changes) {
        written += text.slice(at, units(change.start)) + change.text;
        at = units(change.end);
      }
      shared()?.replace(box, start, at, written);
    }
    lookSoon(name, AFTER_FIX);
  }

  /** @param {Event} event */
  function onChange(event) {
    const box = shared()?.boxOf(event);
    if (!box) return;
    const name = tabOf(box);
    if (tabs.has(name)) draw(name);
    lookSoon(name);
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let caretTimer;
  function onCaret() {
    clearTimeout(caretTimer);
    caretTimer = setTimeout(() => {
      for (const name of tabs.keys()) draw(name);
    }, 150);
  }

  document.addEventListener("input", onChange);
  document.addEventListener("focusin", onChange);
  document.addEventListener("focusout", (event) => {
    if (shared()?.boxOf(event)) onCaret();
  });
  document.addEventListener("selectionchange", onCaret);
  /** @type {Window & {onOptionsChanged?: (callback: () => void) => void}} */ (window).onOptionsChanged?.(() => {
    for (const name of tabs.keys()) lookSoon(name);
  });
})();
