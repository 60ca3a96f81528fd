// LoRAs that fit what is being written, in one line under the host's prompt boxes: a click adds one. The line keeps its place
// while somebody types; it is empty only while the prompt is.
"use strict";

(() => {
  /**
   * @typedef {{id: number, name: string, title: string, base_model: string, preview: {kind: string, v: string} | null}} Lora
   * @typedef {{lora: Lora, score: number, weight: number | null, blurred: boolean, reasons: {kind: string, text: string}[]}} Item
   * What the items are for is the subject; asked is the prompt that need not be asked about again.
   * @typedef {{asked: string, subject: string, items: Item[], asking: AbortController | null, tries: number, look: string, touched: number}} Tab
   */

  const WAIT = 600;
  /** The sidecar is still preparing: asked again so often, with this pause. */
  const AGAIN = 6_000;
  const TRIES = 20;
  const SHOWN = 5;
  /** Less likely ones are not worth a look, unless the prompt itself says so. */
  const LEAST = 0.01;
  const SURE = ["own", "trigger", "name"];
  const SHORTEST = 3;
  const LONGEST = 20_000;
  const UNDO = 6_000;
  /** Nothing is made anew under a pointer that has moved so lately. */
  const HELD = 1_500;
  const NO_NAME = /[:<>=\r\n]/;

  const shared = () => /** @type {Window & {loraManagerPrompts?: LoraManagerPrompts}} */ (window).loraManagerPrompts;

  /** @type {Map<string, Tab>} */
  const tabs = new Map();
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  const timers = new Map();

  const isWanted = () => shared()?.options()["lora_manager_suggestions"] !== false;

  /** The positive prompt's tab, "" for any other box. @param {HTMLTextAreaElement} box */
  const tabOf = (box) => /^(.+?)(?<!_neg)_prompt$/.exec(box.closest("[id$=_prompt]")?.id ?? "")?.[1] ?? "";

  /** @param {string} name @returns {HTMLTextAreaElement | null} */
  const boxOf = (name) => shared()?.root().querySelector(`#${name}_prompt textarea`) ?? null;

  /** @param {string} name @returns {Tab} */
  function tabNamed(name) {
    const tab = tabs.get(name) ?? { asked: "", subject: "", items: [], asking: null, tries: 0, look: "", touched: -Infinity };
    tabs.set(name, tab);
    return tab;
  }

  /** @param {string} name @param {number} [wait] */
  function lookSoon(name, wait = WAIT) {
    clearTimeout(timers.get(name));
    timers.set(name, setTimeout(() => void look(name), wait));
  }

  /** What is asked for: the prompt without a tag that is only begun. @param {string} text */
  const askedFor = (text) => text.replace(/<[^<>]*$/, "").replace(/[\uD800-\uDFFF]/gu, "\uFFFD").trim();

  /** @param {string} name */
  async function look(name) {
    const box = boxOf(name);
    if (!box) return;
    const tab = tabNamed(name);
    const prompt = askedFor(box.value);
    if (!isWanted() || prompt.replace(/<[^<>]*>/g, "").trim().length < SHORTEST || prompt.length > LONGEST) {
      tab.asking?.abort();
      Object.assign(tab, { asked: "", items: [] });
      draw(name);
      return;
    }
    if (prompt === tab.asked || !shared()?.isShown(box)) return;
    tab.asking?.abort();
    tab.asking = new AbortController();
    const { signal } = tab.asking;
    const answer = await shared()?.request("recommendations/prompt", { prompt, limit: 2 * SHOWN }, signal);
    if (signal.aborted) return;
    if (!answer) {
      tab.tries += 1;
      if (tab.tries < TRIES) lookSoon(name, AGAIN);
      return;
    }
    const worth = /** @type {Item[]} */ (answer.items).filter(({ lora, reasons, score }) => reasons.some(({ kind }) => score >= LEAST || SURE.includes(kind)) && !NO_NAME.test(lora.name));
    Object.assign(tab, { asked: prompt, subject: prompt, items: worth.slice(0, SHOWN), tries: 0 });
    draw(name);
  }

  /** @template {keyof HTMLElementTagNameMap} T @param {T} tag @param {string} className @param {...(Node | string)} children */
  function make(tag, className, ...children) {
    const element = document.createElement(tag);
    element.className = className;
    element.append(...children);
    return element;
  }

  /** Nothing is made anew under a moving pointer, or while its keys are being used. @param {string} name */
  function draw(name) {
    const box = boxOf(name);
    if (!box) return;
    const tab = tabNamed(name);
    const foot = shared()?.footOf(box);
    let line = foot?.querySelector(":scope > .lora-manager-suggest");
    if (!foot || (!line && tab.items.length === 0)) return;
    if (!line) {
      line = make("div", "lora-manager-suggest");
      line.setAttribute("role", "toolbar");
      line.setAttribute("aria-label", "LoRAs that fit this prompt");
      line.addEventListener("keydown", (event) => onKey(/** @type {KeyboardEvent} */ (event), box));
      line.addEventListener("animationend", () => shared()?.makeRoom(box));
      line.addEventListener("pointermove", () => (tab.touched = performance.now()));
      line.addEventListener("pointerleave", () => {
        tab.touched = -Infinity;
        draw(name);
      });
      line.addEventListener("focusout", () => setTimeout(() => draw(name)));
      foot.append(line);
    }
    line.classList.toggle("lora-manager-dark", shared()?.isDark(box) ?? false);
    const look = JSON.stringify(tab.items);
    if (tab.look === look || (tab.items.length > 0 && line.matches(":focus-within"))) return;
    const held = tab.items.length > 0 ? HELD - (performance.now() - tab.touched) : 0;
    if (held > 0) return void setTimeout(() => draw(name), held);
    tab.look = look;
    line.replaceChildren(...(tab.items.length > 0 ? [make("span", "lora-manager-suggest-label", "Fits"), ...tab.items.map((item) => chip(name, item))] : []));
    line.querySelector("button")?.setAttribute("tabindex", "0");
    keepToOneLine(line);
    shared()?.makeRoom(box);
  }

  /** What does not fit beside the first is left out. @param {Element} line */
  function keepToOneLine(line) {
    const chips = /** @type {HTMLElement[]} */ ([...line.querySelectorAll(".lora-manager-suggest-chip")]);
    for (const one of chips) one.hidden = false;
    const top = chips[0]?.offsetTop;
    for (const one of chips) one.hidden = one.offsetTop !== top;
  }

  /** @param {string} name @param {Item} item */
  function chip(name, item) {
    const { lora, reasons } = item;
    const title = lora.title || lora.name;
    const weight = String(item.weight ?? 1);
    const why = reasons.map(({ text }) => text).join("\n");
    const add = make("button", "lora-manager-suggest-add", picture(item), make("span", "lora-manager-suggest-name", title));
    add.type = "button";
    add.tabIndex = -1;
    add.title = `${why}\n\nA click adds <lora:${lora.name}:${weight}>`;
    add.setAttribute("aria-label", `Add ${title} with a weight of ${weight}. ${reasons[0]?.text ?? ""}`);
    const not = make("button", "lora-manager-suggest-not", "\u00d7");
    not.type = "button";
    not.tabIndex = -1;
    not.title = "Not this: suggested less for prompts like this";
    not.setAttribute("aria-label", `Not ${title}`);
    const whole = make("span", "lora-manager-suggest-chip", add, not);
    add.addEventListener("click", () => take(name, item, weight, whole));
    not.addEventListener("click", () => void refuse(name, item, whole));
    return whole;
  }

  /** @param {Item} item */
  function picture({ lora, blurred }) {
    const frame = make("span", "lora-manager-suggest-picture");
    if (!lora.preview || lora.preview.kind === "video") return frame;
    const image = make("img", blurred ? "lora-manager-suggest-blurred" : "");
    image.alt = "";
    image.loading = "lazy";
    image.addEventListener("error", () => image.remove());
    image.src = shared()?.address(`loras/${lora.id}/preview?v=${encodeURIComponent(lora.preview.v ?? "")}`) ?? "";
    frame.append(image);
    return frame;
  }

  /** At the end of the prompt, as one edit that undo takes back. @param {string} name @param {Item} item @param {string} weight @param {HTMLElement} whole */
  function take(name, item, weight, whole) {
    const box = boxOf(name);
    if (!box) return;
    const tab = tabNamed(name);
    const end = box.value.length;
    void shared()?.request("recommendations/feedback", { verdict: "chosen", kind: "prompt", lora_id: item.lora.id, subject: tab.subject });
    Object.assign(tab, { asked: "", items: tab.items.filter((one) => one !== item) });
    remove(tab, whole);
    shared()?.replace(box, end, end, `${/\S$/.test(box.value) ? " " : ""}<lora:${item.lora.name}:${weight}>`);
    lookSoon(name, 0);
  }

  /** @param {Tab} tab @param {HTMLElement} whole */
  function remove(tab, whole) {
    whole.remove();
    Object.assign(tab, { look: "", touched: -Infinity });
  }

  /** "Not this": gone now, less likely later; with a way back. @param {string} name @param {Item} item @param {HTMLElement} whole */
  async function refuse(name, item, whole) {
    const tab = tabNamed(name);
    const entry = await shared()?.request("recommendations/feedback", { verdict: "down", kind: "prompt", lora_id: item.lora.id, subject: tab.subject });
    if (!entry) return;
    tab.items = tab.items.filter((one) => one !== item);
    tab.look = JSON.stringify(tab.items); // what is said in its place stays until it is over
    const told = make("span", "lora-manager-suggest-gone", "Suggested less. ");
    const undo = make("button", "lora-manager-suggest-undo", "Undo");
    undo.type = "button";
    const again = () => {
      clearTimeout(timer);
      remove(tab, whole);
      tab.asked = "";
      void look(name);
    };
    const timer = setTimeout(again, UNDO);
    undo.addEventListener("click", async () => {
      const taken = await shared()?.request(`recommendations/feedback/${entry.id}`, undefined, undefined, "DELETE");
      if (taken === null) told.textContent = "Not taken back. ";
      else again(); // or somebody else has taken it back
    });
    whole.replaceChildren(told, undo);
    undo.focus();
  }

  /** Arrows go from one to the next, Delete refuses, Escape leads back to the prompt. @param {KeyboardEvent} event @param {HTMLTextAreaElement} box */
  function onKey(event, box) {
    const line = event.currentTarget instanceof Element ? event.currentTarget : null;
    const buttons = /** @type {HTMLElement[]} */ ([...(line?.querySelectorAll(".lora-manager-suggest-chip:not([hidden]) > button:first-of-type") ?? [])]);
    const at = buttons.findIndex((one) => one.parentElement?.contains(document.activeElement));
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (next !== undefined) {
      const wanted = buttons[(next + buttons.length) % buttons.length];
      for (const one of buttons) one.tabIndex = one === wanted ? 0 : -1;
      wanted?.focus();
    } else if (event.key === "Delete") /** @type {HTMLElement | null | undefined} */ (buttons[at]?.parentElement?.querySelector(".lora-manager-suggest-not"))?.click();
    else if (event.key === "Escape") box.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {Event} event */
  function onChange(event) {
    const box = shared()?.boxOf(event);
    const name = box ? tabOf(box) : "";
    if (!name) return;
    const tab = tabNamed(name);
    tab.tries = 0;
    if (event.type === "input") tab.asking?.abort();
    lookSoon(name);
  }

  document.addEventListener("input", onChange);
  document.addEventListener("focusin", onChange);
  window.addEventListener("resize", () => {
    for (const line of shared()?.root().querySelectorAll(".lora-manager-suggest") ?? []) keepToOneLine(line);
  });
  /** @type {Window & {onOptionsChanged?: (callback: () => void) => void}} */ (window).onOptionsChanged?.(() => {
    for (const [name, tab] of tabs) {
      tab.asked = "";
      lookSoon(name);
    }
  });
})();
