// Completion in the host's own prompt boxes: LoRAs, sets, draws and trigger words, from the library of LoRA Manager.
// It gives way to other completions: where one of them serves a prompt box, only what it does not do is done here, and
// while its list is open ours is closed and takes no key.
"use strict";

(() => {
  /**
   * @typedef {{id: number, name: string, title: string, base_model: string, preview: {kind: string, v: string} | null, blurred: boolean}} Lora
   * @typedef {{id: number, name: string, base_model: string | null, preview: boolean, preview_stamp: number | null, previews: number[]}} LoraSet
   * @typedef {{kind: "lora" | "set" | "word" | "field", text: string, label: string, detail: string, lora: Lora | null, set: LoraSet | null, fits: boolean | null}} Item
   * @typedef {{start: number, end: number, items: Item[]}} Answer
   * @typedef {"lora" | "lyco" | "set" | "draw" | "word"} What
   * @typedef {{box: HTMLTextAreaElement, start: number, end: number, caret: number, what: What, items: Item[], active: number}} Shown
   */

  /** A letter that follows another one so soon waits so long, so that held keys do not ask for each repetition. */
  const SOON = 40;
  const WAIT = 8;
  /** Pictures come when the list has stood for so long, so that lists that pass by load none. */
  const PICTURES = 120;
  /** UTF-16 units before and behind the caret that are sent. */
  const SENT = 8_000;
  const KEPT = 40;
  const KEPT_MS = 10_000;
  /** How long another completion's list may take to close after the letter that ends its business. */
  const OTHERS_CLOSE = 600;
  const LOOK = 60;
  const EDGE = 8;
  const LONGEST_MEASURED = 20_000;
  const ID = "lora_manager_complete";
  const BEGUN = /<(lora|lyco|set):([^<>\n]*)$/i;
  const WORD = /[^,;|<>()[\]{}\n]*$/;
  const OTHERS = ".autocompleteParent .autocompleteResults:not(.sideInfo), body > .autocompleteResults, .tribute-container, .textcomplete-dropdown, .ui-autocomplete";
  const MIRRORED = ["fontFamily", "fontSize", "fontWeight", "fontStyle", "lineHeight", "letterSpacing", "wordSpacing", "textTransform", "textIndent", "tabSize", "direction", "textAlign"];
  const MIRRORED_BOX = ["paddingTop", "paddingRight", "paddingBottom", "paddingLeft", "borderTopWidth", "borderRightWidth", "borderBottomWidth", "borderLeftWidth"];

  const shared = () => /** @type {Window & {loraManagerPrompts?: LoraManagerPrompts}} */ (window).loraManagerPrompts;

  /** What is shown, and what a key would do to it. @type {Shown | null} */
  let open = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let askTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let showTimer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let watch;
  let askedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let pictureTimer;
  /** Addresses of pictures that this page has loaded. @type {Set<string>} */
  const loaded = new Set();
  /** @type {AbortController | null} */
  let asking = null;
  /** Where the user has closed the list with Escape. @type {{box: HTMLTextAreaElement, start: number, what: What} | null} */
  let dismissed = null;
  /** @type {Map<string, {at: number, answer: Answer}>} */
  const known = new Map();

  /** @type {HTMLElement | null} */
  let panel = null;

  /** What may be completed at the caret, as far as the text right before it tells. @param {HTMLTextAreaElement} box @returns {What | null} */
  function whatAt(box) {
    const caret = box.selectionStart;
    if (caret !== box.selectionEnd) return null;
    const before = box.value.slice(Math.max(0, caret - 500), caret);
    const begun = BEGUN.exec(before);
    if (begun) {
      const kind = (begun[1] ?? "").toLowerCase();
      if (kind === "set") return "set";
      return /^\s*\?/.test(begun[2] ?? "") ? "draw" : kind === "lyco" ? "lyco" : "lora";
    }
    if (/<\w*$/.test(before)) return null; // a tag that is only begun
    const word = WORD.exec(before)?.[0].trim() ?? "";
    return [...word.matchAll(/[\p{L}\p{N}]/gu)].length >= 2 ? "word" : null;
  }

  /** Whether it is ours to complete this here: the user wants it, and no other completion does it. @param {What} what @param {HTMLTextAreaElement} box */
  function isOurs(what, box) {
    const prompts = shared();
    const mode = prompts?.mode() ?? "off";
    if (mode === "off" || (what === "word" && mode === "tags only")) return false;
    if (what === "set" || what === "draw") return true;
    if (isServedByHost()) return what === "lyco" && !isServedByTagcomplete(box);
    if (!isServedByTagcomplete(box)) return true;
    const options = prompts?.options() ?? {};
    return (what === "lora" && options["tac_useLoras"] === false) || (what === "lyco" && options["tac_useLycos"] === false);
  }

  /** a1111-sd-webui-tagcomplete gives the boxes that it serves a class, and each its list. @param {HTMLTextAreaElement} box */
  function isServedByTagcomplete(box) {
    const prompts = shared();
    const options = prompts?.options() ?? {};
    if (options["tac_active"] === false || !prompts?.root().querySelector(".autocompleteParent")) return false;
    if (box.classList.contains("autocomplete")) return true;
    const id = box.closest("[id$=_prompt]")?.id ?? "";
    const area = ["txt2img", "img2img"].find((tab) => id.startsWith(tab));
    return !(area && options[`tac_activeIn.${area}`] === false) && !(id.endsWith("_neg_prompt") && options["tac_activeIn.negativePrompts"] === false);
  }

  /** SDNext's own completion of tags and LoRAs; its button in the page tells its state better than the option does. */
  function isServedByHost() {
    const root = shared()?.root();
    if (root?.querySelector(".autocomplete-active")) return true;
    return !root?.querySelector(".autocomplete-inactive") && shared()?.options()["autocomplete_active"] === true;
  }

  /** Whether another completion shows its list. @param {HTMLTextAreaElement} box */
  function isOtherOpen(box) {
    const prompts = shared();
    if (!open && box.getAttribute("aria-expanded") === "true") return true;
    return [...document.querySelectorAll(OTHERS), ...(prompts?.root().querySelectorAll(OTHERS) ?? [])].some((list) => list.querySelector("li, tr, div") && prompts?.isShown(list));
  }

  /** Complete what stands at the caret. @param {HTMLTextAreaElement} box */
  async function ask(box) {
    asking?.abort();
    const what = whatAt(box);
    if (dismissed && (dismissed.box !== box || dismissed.what !== what)) dismissed = null;
    if (!what || !isOurs(what, box)) return close();
    asking = new AbortController();
    const { signal } = asking;
    const { value } = box;
    const caret = box.selectionStart;
    const from = wholeFrom(value, Math.max(0, caret - SENT));
    const sent = value.slice(from, wholeFrom(value, caret + SENT)).replace(/[\uD800-\uDFFF]/gu, "\uFFFD");
    const answer = await suggestions(sent, shared()?.charactersOf(sent, caret - from) ?? 0, signal);
    if (signal.aborted || box.value !== value || box.selectionStart !== caret) return;
    if (!answer || answer.items.length === 0) return close();
    const start = from + (shared()?.unitsOf(sent, answer.start) ?? 0);
    const end = from + (shared()?.unitsOf(sent, answer.end) ?? 0);
    if (dismissed?.start !== start) dismissed = null;
    if (!dismissed) show({ box, start, end, caret, what, items: answer.items, active: what === "word" ? -1 : 0 }, performance.now() + OTHERS_CLOSE);
  }

  /** The same place, or one further when it would part a surrogate pair. @param {string} text @param {number} at */
  const wholeFrom = (text, at) => (at > 0 && text.charCodeAt(at) >> 10 === 0x37 ? at + 1 : at);

  /** @param {string} text @param {number} at @param {AbortSignal} signal @returns {Promise<Answer | null>} */
  async function suggestions(text, at, signal) {
    const key = `${at}\n${text}`;
    const before = known.get(key);
    if (before && performance.now() - before.at < KEPT_MS) return before.answer;
    /** @type {Answer | null} */
    const answer = await shared()?.request("prompts/complete", { text, at }, signal);
    if (answer) {
      known.delete(key);
      known.set(key, { at: performance.now(), answer });
      for (const oldest of known.keys()) {
        if (known.size <= KEPT) break;
        known.delete(oldest);
      }
    }
    return answer;
  }

  /** @param {Shown} next @param {number} until */
  function show(next, until) {
    clearTimeout(showTimer);
    if (isOtherOpen(next.box)) {
      close();
      if (performance.now() < until) {
        showTimer = setTimeout(() => {
          if (document.activeElement === next.box && next.box.selectionStart === next.caret) show(next, until);
        }, LOOK);
      }
      return;
    }
    open = next;
    draw();
    clearInterval(watch);
    watch = setInterval(() => {
      if (open && isOtherOpen(open.box)) close();
    }, LOOK);
  }

  function close() {
    clearTimeout(showTimer);
    clearInterval(watch);
    clearTimeout(pictureTimer);
    if (!open) return;
    open.box.removeAttribute("aria-activedescendant");
    open.box.setAttribute("aria-expanded", "false");
    open = null;
    if (panel) panel.hidden = true;
  }

  /** Close, and forget what was asked. */
  function leave() {
    clearTimeout(askTimer);
    askTimer = undefined;
    asking?.abort();
    close();
  }

  /** @template {keyof HTMLElementTagNameMap} T @param {T} tag @param {string} className @param {...(Node | string)} children */
  function make(tag, className, ...children) {
    const element = document.createElement(tag);
    element.className = className;
    element.append(...children);
    return element;
  }

  function makePanel() {
    const made = make("div", "lora-manager-complete");
    made.id = ID;
    made.setAttribute("role", "listbox");
    made.setAttribute("aria-label", "LoRA Manager");
    made.addEventListener("mousedown", (event) => event.preventDefault()); // the box keeps the focus
    made.addEventListener("click", (event) => {
      const line = event.target instanceof Element ? event.target.closest("[role=option]") : null;
      if (line) take([...made.children].indexOf(line));
    });
    made.addEventListener("mousemove", (event) => {
      const line = event.target instanceof Element ? event.target.closest("[role=option]") : null;
      if (line) choose([...made.children].indexOf(line), false);
    });
    document.body.append(made);
    return made;
  }

  function draw() {
    if (!open) return;
    panel = panel?.isConnected ? panel : makePanel();
    const { box, items, what } = open;
    const typed = what === "word" ? box.value.slice(open.start, open.caret) : (BEGUN.exec(box.value.slice(Math.max(0, open.caret - 500), open.caret))?.[2] ?? "");
    panel.replaceChildren(...items.map((item, index) => option(item, index, typed)));
    panel.classList.toggle("lora-manager-dark", shared()?.isDark(box) ?? false);
    panel.hidden = false;
    panel.scrollTop = 0;
    place();
    box.setAttribute("aria-autocomplete", "list");
    box.setAttribute("aria-haspopup", "listbox");
    box.setAttribute("aria-controls", ID);
    box.setAttribute("aria-expanded", "true");
    choose(open.active, false);
    clearTimeout(pictureTimer);
    pictureTimer = setTimeout(() => {
      for (const image of panel?.querySelectorAll("img") ?? []) image.src ||= image.dataset["source"] ?? "";
    }, PICTURES);
  }

  /** @param {Item} item @param {number} index @param {string} typed */
  function option(item, index, typed) {
    const line = make("div", item.kind === "field" ? "lora-manager-complete-option lora-manager-complete-short" : "lora-manager-complete-option");
    line.id = `${ID}_${index}`;
    line.setAttribute("role", "option");
    if (item.kind !== "field") line.append(picture(item));
    const text = make("span", "lora-manager-complete-text", make("span", "lora-manager-complete-name", ...marked(item.label, typed)));
    if (item.detail) text.append(make("span", "lora-manager-complete-detail", item.detail));
    line.append(text);
    const base = item.lora?.base_model ?? item.set?.base_model ?? "";
    if (base && base !== "Unknown") {
      const model = make("span", "lora-manager-complete-base", make("span", "", base));
      if (item.fits === false) model.append(make("span", "lora-manager-complete-other", "other base model"));
      line.append(model);
    }
    return line;
  }

  /** The part of a name that was typed stands out. @param {string} name @param {string} typed @returns {(Node | string)[]} */
  function marked(name, typed) {
    const wanted = typed.trim().toLowerCase().replace(/\s+/g, "_");
    const at = wanted ? name.toLowerCase().replace(/\s/g, "_").indexOf(wanted) : -1;
    if (at < 0 || name.toLowerCase().length !== name.length) return [name];
    const end = at + wanted.length;
    return [name.slice(0, at), make("mark", "lora-manager-complete-match", name.slice(at, end)), name.slice(end)];
  }

  /** @param {Item} item */
  function picture(item) {
    const frame = make("span", "lora-manager-complete-picture");
    const address = shared()?.address;
    const { lora, set } = item;
    const paths = [];
    if (lora?.preview && lora.preview.kind !== "video") paths.push(`loras/${lora.id}/preview?v=${encodeURIComponent(lora.preview.v ?? "")}`);
    if (set?.preview) paths.push(`sets/${set.id}/preview?v=${set.preview_stamp ?? ""}`);
    else if (set) paths.push(...set.previews.slice(0, 4).map((id) => `loras/${id}/preview`));
    if (lora?.blurred) frame.classList.add("lora-manager-complete-blurred");
    if (paths.length > 1) frame.classList.add("lora-manager-complete-several");
    for (const path of paths) {
      const image = make("img", "");
      image.alt = "";
      image.addEventListener("error", () => image.remove());
      image.addEventListener("load", () => loaded.add(image.src));
      const source = address?.(path) ?? "";
      if (loaded.has(source)) image.src = source;
      else image.dataset["source"] = source;
      frame.append(image);
    }
    return frame;
  }

  /** Under the text that is completed, or above it where there is no room below. */
  function place() {
    if (!open || !panel) return;
    const { left, top, bottom } = placeOf(open.box, open.start);
    const { width, height } = panel.getBoundingClientRect();
    const below = window.innerHeight - bottom - EDGE;
    const y = height <= below || below >= top ? bottom + 2 : Math.max(EDGE, top - height - 2);
    panel.style.left = `${Math.round(Math.max(EDGE, Math.min(left, window.innerWidth - width - EDGE)))}px`;
    panel.style.top = `${Math.round(y)}px`;
  }

  /** Where a character of a box is on the screen, measured in a copy of the box; kept within the box's own area. @param {HTMLTextAreaElement} box @param {number} at */
  function placeOf(box, at) {
    const area = box.getBoundingClientRect();
    if (at > LONGEST_MEASURED) return { left: area.left, top: area.top, bottom: area.bottom };
    const style = getComputedStyle(box);
    const mirror = make("div", "");
    for (const name of [...MIRRORED, ...MIRRORED_BOX]) mirror.style.setProperty(name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), style[/** @type {any} */ (name)] ?? "");
    // the width less a scroll bar, so that lines break where they break in the box
    const borders = parseFloat(style.borderLeftWidth) + parseFloat(style.borderRightWidth);
    Object.assign(mirror.style, { position: "absolute", visibility: "hidden", top: "0", left: "-9999px", boxSizing: "border-box", borderStyle: "solid", width: `${box.clientWidth + borders}px`, whiteSpace: "pre-wrap", overflowWrap: "break-word" });
    const marker = make("span", "", box.value.slice(at, at + 40) || ".");
    mirror.append(box.value.slice(0, at), marker);
    document.body.append(mirror);
    const line = marker.getClientRects()[0] ?? marker.getBoundingClientRect();
    const frame = mirror.getBoundingClientRect();
    mirror.remove();
    const left = area.left + (style.direction === "rtl" ? line.right : line.left) - frame.left;
    const within = (/** @type {number} */ y) => Math.max(area.top, Math.min(area.bottom, y));
    return { left, top: within(area.top + line.top - frame.top - box.scrollTop), bottom: within(area.top + line.bottom - frame.top - box.scrollTop) };
  }

  /** @param {number} index -1: none @param {boolean} [into] scroll it into view */
  function choose(index, into = true) {
    if (!open || !panel) return;
    open.active = index;
    for (const [at, line] of [...panel.children].entries()) line.setAttribute("aria-selected", String(at === index));
    const line = panel.children[index];
    if (line) open.box.setAttribute("aria-activedescendant", line.id);
    else open.box.removeAttribute("aria-activedescendant");
    if (into) line?.scrollIntoView({ block: "nearest" });
  }

  /** Write a suggestion in the place of what was typed, and of what was typed since it was asked for. @param {number} index */
  function take(index) {
    const item = open?.items[index];
    if (!open || !item) return;
    const { box, start } = open;
    const end = open.end + box.selectionStart - open.caret;
    leave();
    if (end < start) return;
    shared()?.replace(box, start, end, item.text);
    if (item.text.endsWith(":")) void ask(box); // a field of a query: its values are next
  }

  /** The list takes its keys before anything else of the page sees them, unless another list is open. @param {KeyboardEvent} event */
  function onKey(event) {
    const box = open?.box;
    if (!open || !box || shared()?.boxOf(event) !== box || event.isComposing || event.keyCode === 229) return;
    if (isOtherOpen(box)) return close();
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) {
      if (event.key === "Enter") leave();
      return;
    }
    const count = open.items.length;
    if (event.key === "ArrowDown") choose(open.active + 1 < count ? open.active + 1 : 0);
    else if (event.key === "ArrowUp") choose(open.active > 0 ? open.active - 1 : count - 1);
    else if (event.key === "PageDown") choose(Math.min(count - 1, open.active + 6));
    else if (event.key === "PageUp") choose(Math.max(0, open.active - 6));
    else if (event.key === "Tab") take(Math.max(0, open.active));
    else if (event.key === "Enter" && open.active >= 0) take(open.active);
    else if (event.key === "Escape") {
      dismissed = { box, start: open.start, what: open.what };
      leave();
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  /** @param {Event} event */
  function onInput(event) {
    const box = shared()?.boxOf(event);
    if (!box || shared()?.isWriting()) return;
    if (!event.isTrusted) dismissed = null; // another text altogether
    if (!event.isTrusted || (event instanceof InputEvent && event.isComposing)) return leave();
    askSoon(box);
  }

  /** @param {HTMLTextAreaElement} box */
  function askSoon(box) {
    clearTimeout(askTimer);
    asking?.abort();
    const wait = performance.now() - askedAt < SOON ? WAIT : 0;
    askedAt = performance.now();
    askTimer = setTimeout(() => {
      askTimer = undefined;
      void ask(box);
    }, wait);
  }

  /** What an input method has composed is there now. @param {Event} event */
  function onComposed(event) {
    const box = shared()?.boxOf(event);
    if (box) askSoon(box);
  }

  /** The way to the sidecar is open before the first letter: connection, caches, and what `<lora:` alone brings. @param {Event} event */
  function onFocus(event) {
    const box = shared()?.boxOf(event);
    if (open && box !== open.box) leave();
    if (box && isOurs("draw", box)) void suggestions("<lora:", 6, new AbortController().signal);
  }

  document.addEventListener("keydown", onKey, true);
  document.addEventListener("input", onInput);
  document.addEventListener("compositionend", onComposed);
  document.addEventListener("focusin", onFocus);
  document.addEventListener("focusout", (event) => {
    if (shared()?.boxOf(event)) leave();
    dismissed = null;
  });
  document.addEventListener("selectionchange", () => {
    if (open && askTimer === undefined && open.box.selectionStart !== open.caret) leave();
  });
  document.addEventListener("scroll", (event) => (event.target === panel ? undefined : place()), { capture: true, passive: true });
  window.addEventListener("resize", () => place());
})();
