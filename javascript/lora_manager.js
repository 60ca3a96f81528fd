// The bridge between the host's prompt boxes and the app in the frame of the tab "LoRA Manager".
// A plain script, since hosts load it as one. Works on gradio 3 and 4, in SDNext's Standard and Modern UI.
"use strict";

(() => {
  /**
   * @typedef {{name: string, weight: number | null}} Tag
   * @typedef {{app: string, type: string, name?: string, weight?: number | null, words?: string[], text?: string, target?: string, prompt?: string, negative_prompt?: string}} Message
   * @typedef {Window & typeof globalThis & {gradioApp?: () => (Document | HTMLElement), updateInput?: (e: Element) => void}} HostWindow
   */

  const APP = "lora-manager";
  const KNOWN_TARGETS = ["txt2img", "img2img", "control", "video"];
  /** Padding and a footer of this many pixels stay in view below the frame; a host with more of them has to scroll. */
  const MOST_BELOW = 160;
  const TAG = /<(?:lora|lyco):([^>:]+)((?::[^>]*)?)>/gi;
  const host = /** @type {HostWindow} */ (window);

  /** What insert has put into which box, so that remove takes out exactly that. @type {WeakMap<HTMLTextAreaElement, Map<string, string>>} */
  const inserted = new WeakMap();
  /** The tab whose prompt was last used; null until there was one. @type {string | null} */
  let target = null;
  let lastPrompt = "";
  let lastLook = "";
  let answered = false;
  let seen = 0;
  /** Where the frame was when it was last given its height. */
  let filled = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let promptTimer;

  const root = () => (host.gradioApp ? host.gradioApp() : document);
  /** @returns {HTMLIFrameElement | null} */
  const frame = () => root().querySelector("#lora_manager_frame");

  /** @param {string} name @param {boolean} [negative] @returns {HTMLTextAreaElement | null} */
  const box = (name, negative = false) => root().querySelector(`#${name}_${negative ? "neg_prompt" : "prompt"} textarea`);

  /** Whether a person can see an element now. @param {HTMLElement | null} element */
  const isShown = (element) => {
    const area = element?.offsetParent ? element.getBoundingClientRect() : null;
    return Boolean(area && area.width > 0 && area.height > 0 && getComputedStyle(/** @type {Element} */ (element)).visibility === "visible");
  };

  /** The tab to write to: the one used last, else the first that there is. @returns {string} */
  const currentTarget = () => (target && box(target) ? target : (KNOWN_TARGETS.find((name) => box(name)) ?? "txt2img"));

  /** Set a prompt the way a person would: gradio hears of it. @param {HTMLTextAreaElement} element @param {string} text */
  function write(element, text) {
    if (element.value === text) return;
    element.value = text;
    if (host.updateInput) host.updateInput(element);
    else element.dispatchEvent(new Event("input", { bubbles: true }));
    sendPrompt();
  }

  /** @param {string} text @returns {Tag[]} */
  function readTags(text) {
    return [...text.matchAll(TAG)].map((match) => {
      const weight = parseFloat((match[2] ?? "").slice(1));
      return { name: match[1] ?? "", weight: Number.isNaN(weight) ? null : weight };
    });
  }

  /** @param {string} text */
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

  /** What stands between a prompt and something appended to it. @param {string} text @param {string} separator */
  const gap = (text, separator) => (text.trim() === "" || /\s$/.test(text) ? "" : separator);

  /** @param {string} name @param {number | null} weight @param {string[]} words */
  function insert(name, weight, words) {
    const element = box(currentTarget());
    if (!element || readTags(element.value).some((tag) => tag.name === name)) return;
    const text = element.value;
    const missing = words.filter((word) => word && !hasText(text, word));
    const tag = `<lora:${name}:${weight ?? 1}>`;
    const added = gap(text, " ") + [tag, ...missing].join(missing.length ? ", " : "");
    const known = inserted.get(element) ?? new Map();
    inserted.set(element, known.set(name, added));
    write(element, text + added);
  }

  /** @param {string} name */
  function remove(name) {
    const element = box(currentTarget());
    if (!element) return;
    let text = element.value;
    const added = inserted.get(element)?.get(name);
    inserted.get(element)?.delete(name);
    const at = added ? text.lastIndexOf(added) : -1;
    if (added && at >= 0) text = text.slice(0, at) + text.slice(at + added.length);
    // any others of the same name, written by hand or with a changed weight, go with one separator each
    text = text.replace(new RegExp(`(?:, ?| )?<(?:lora|lyco):${escaped(name)}(?::[^>]*)?>`, "gi"), "");
    write(element, at >= 0 ? text : text.replace(/^(?:, ?| )/, ""));
  }

  /** Whether a trigger word stands in a prompt as a part of its own. @param {string} text @param {string} word */
  const hasText = (text, word) => new RegExp(`(?<![\\p{L}\\p{N}_])${escaped(word.trim())}(?![\\p{L}\\p{N}_])`, "iu").test(text.replace(TAG, " "));

  /** Append a text, or take it out when it stands there already. @param {string} word @param {boolean} negative */
  function toggleText(word, negative) {
    const element = box(currentTarget(), negative);
    if (!element || !word.trim()) return;
    const text = element.value;
    const part = new RegExp(`(^|, ?)${escaped(word.trim())}(?=\\s*(?:,|$))`, "i");
    if (part.test(text)) write(element, text.replace(part, "").replace(/^, ?/, ""));
    else write(element, text + gap(text, /,\s*$/.test(text) ? " " : ", ") + word.trim());
  }

  /** Set both boxes of a tab. @param {string} name @param {string} [prompt] @param {string} [negative] */
  function writeBoth(name, prompt, negative) {
    if (!KNOWN_TARGETS.includes(name)) return;
    const [first, second] = [box(name), box(name, true)];
    if (first && typeof prompt === "string") write(first, prompt);
    if (second && typeof negative === "string") write(second, negative);
  }

  /** @param {string} name @returns {HTMLElement | null} the button for a tab in SDNext's Modern UI */
  const modernButton = (name) => root().querySelector(`#${name}_nav.xtabs-tab`);

  /** Tabs with prompts that a person can get to: the Modern UI hides its old ones. */
  const targets = () => KNOWN_TARGETS.filter((name) => box(name) && modernButton(name)?.offsetParent !== null);

  /** Show a tab, by its button; where a translation has given that another name, as the host itself does. @param {string} name */
  function go(name) {
    if (!KNOWN_TARGETS.includes(name)) return;
    target = name;
    const labels = [name, { txt2img: "text", img2img: "image" }[name]];
    const button = modernButton(name) ?? [...root().querySelectorAll("#tabs > .tab-nav > button")].find((one) => labels.includes(one.textContent?.trim().toLowerCase()));
    const show = /** @type {unknown} */ (Reflect.get(window, `switch_to_${name}`));
    if (button instanceof HTMLElement) button.click();
    else if (typeof show === "function") show();
    sendHost();
    sendPrompt();
  }

  /** Light or dark: hosts name it in different ways, but light text always stands on a dark page. @returns {boolean} */
  function isDark() {
    const [red = 0, green = 0, blue = 0] = getComputedStyle(frame()?.parentElement ?? document.body).color.match(/[\d.]+/g)?.map(Number) ?? [];
    return 0.299 * red + 0.587 * green + 0.114 * blue > 128;
  }

  const kind = () => (box("control") || root().querySelector("#control_prompt") ? "sdnext" : "a1111");

  /** @param {Record<string, unknown>} message */
  const post = (message) => frame()?.contentWindow?.postMessage({ app: APP, ...message }, location.origin);

  /** Tell the frame about host, theme and target, when there is news. @param {boolean} [always] */
  function sendHost(always = false) {
    const message = { type: "host", host: kind(), dark: isDark(), target: currentTarget(), targets: targets() };
    const look = JSON.stringify(message);
    if (!answered || (!always && look === lastLook)) return;
    lastLook = look;
    post(message);
  }

  /** Tell the frame what stands in the prompt, when there is news. @param {boolean} [always] */
  function sendPrompt(always = false) {
    const name = currentTarget();
    const text = box(name)?.value ?? "";
    const negative = box(name, true)?.value ?? "";
    const prompt = JSON.stringify([name, text, negative]);
    if (!answered || (!always && prompt === lastPrompt)) return;
    lastPrompt = prompt;
    post({ type: "prompt", target: name, loras: readTags(text), words_text: text, negative_prompt: negative });
  }

  /** @param {MessageEvent<Message>} event */
  function onMessage(event) {
    const message = event.data;
    if (event.origin !== location.origin || event.source !== frame()?.contentWindow || message?.app !== APP) return;
    if (message.type === "hello") {
      answered = true;
      sendHost(true);
      sendPrompt(true);
    } else if (message.type === "insert" && message.name) insert(message.name, message.weight ?? null, message.words ?? []);
    else if (message.type === "remove" && message.name) remove(message.name);
    else if (message.type === "text") toggleText(message.text ?? "", false);
    else if (message.type === "negative") toggleText(message.text ?? "", true);
    else if (message.type === "write") writeBoth(message.target ?? "", message.prompt, message.negative_prompt);
    else if (message.type === "go") go(message.target ?? "");
  }

  /** Somebody types or clicks in a prompt box: from now on it is the one to write to. @param {Event} event */
  function onUse(event) {
    const element = event.composedPath()[0];
    if (!(element instanceof HTMLTextAreaElement)) return;
    const owner = element.closest(KNOWN_TARGETS.flatMap((name) => [`#${name}_prompt`, `#${name}_neg_prompt`]).join());
    if (!owner) return;
    target = owner.id.replace(/_(neg_)?prompt$/, "");
    sendHost();
    clearTimeout(promptTimer);
    promptTimer = setTimeout(sendPrompt, 150);
  }

  /** Let the frame reach down to the lower edge of the window, less what the host has below it: one scroll bar is enough. */
  function fill() {
    const element = frame();
    if (!element || !isShown(element)) return;
    const page = document.scrollingElement ?? document.documentElement;
    const top = Math.max(0, element.getBoundingClientRect().top + page.scrollTop);
    const place = () => [top, window.innerWidth, window.innerHeight, page.scrollHeight].join();
    if (place() === filled) return;
    const height = Math.max(400, Math.floor(window.innerHeight - top - 4));
    element.style.height = `${height}px`;
    const over = page.scrollHeight - page.clientHeight;
    if (over > 0 && over <= MOST_BELOW) element.style.height = `${Math.max(400, height - over)}px`;
    filled = place();
  }

  /** Load the app when its tab has been in view for a moment: hosts show and hide tabs while they build their page. */
  function load() {
    const element = frame();
    seen = isShown(element) ? seen + 1 : 0;
    if (element && !element.src && seen >= 2) element.src = new URL("lora-manager/", document.baseURI).href;
  }

  /** Look at what a host does not tell by event: tabs that change (SDNext's Modern UI), prompts set by script, themes. */
  function look() {
    const shown = KNOWN_TARGETS.filter((name) => isShown(box(name)));
    if (shown.length > 0 && !shown.includes(target ?? "")) target = shown[0] ?? null;
    if (!isShown(frame())) return;
    fill();
    sendHost();
    sendPrompt();
  }

  window.addEventListener("message", onMessage);
  window.addEventListener("resize", fill);
  document.addEventListener("focusin", onUse);
  document.addEventListener("input", onUse);
  document.addEventListener("click", look, true); // before the click leads to another tab
  setInterval(() => {
    load();
    look();
  }, 250);
  Object.assign(window, { loraManager: Object.freeze({ insert, remove, toggleText, currentTarget }) });
})();
