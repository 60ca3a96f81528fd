// What completion and the line of problems share: the host's prompt boxes, the way to the sidecar, edits that can be
// undone. A plain script, as the hosts load it; it does nothing by itself.
"use strict";

/**
 * @typedef {object} LoraManagerPrompts
 * @property {(event: Event) => HTMLTextAreaElement | null} boxOf the prompt box that an event comes from
 * @property {() => HTMLTextAreaElement[]} boxes
 * @property {() => Document | HTMLElement | ShadowRoot} root where the host has built its page
 * @property {() => Record<string, unknown>} options the host's settings
 * @property {() => "on" | "tags only" | "off"} mode what the user wants of all this
 * @property {(path: string, body: unknown, signal?: AbortSignal, method?: "POST" | "DELETE") => Promise<any>} request null: no answer, for whatever reason
 * @property {(path: string) => string} address
 * @property {(element: HTMLTextAreaElement, start: number, end: number, text: string) => void} replace
 * @property {() => boolean} isWriting whether the input event of now comes from `replace`
 * @property {(text: string, units: number) => number} charactersOf
 * @property {(text: string, characters: number) => number} unitsOf
 * @property {(element: Element) => boolean} isDark
 * @property {(element: Element) => boolean} isShown
 * @property {(box: HTMLTextAreaElement) => Element | null} footOf where our lines under a prompt box stand, one below the other
 * @property {(box: HTMLTextAreaElement) => void} makeRoom to be called after these lines have changed
 */

(() => {
  /** @typedef {Window & typeof globalThis & {gradioApp?: () => (Document | HTMLElement | ShadowRoot), updateInput?: (e: Element) => void, opts?: Record<string, unknown>, authFetch?: typeof fetch}} HostWindow */

  const TABS = ["txt2img", "img2img", "control", "video"];
  const BOXES = TABS.flatMap((tab) => [`#${tab}_prompt`, `#${tab}_neg_prompt`]);
  /** How long nothing is asked after the sidecar did not answer, and after it was not allowed to. */
  const AWAY = 5_000;
  const REFUSED = 60_000;
  const host = /** @type {HostWindow} */ (window);

  let writing = false;
  let quietUntil = 0;
  let throughHost = false;

  const root = () => (host.gradioApp ? host.gradioApp() : document);
  const options = () => host.opts ?? {};

  /** @param {Event} event */
  function boxOf(event) {
    const element = event.composedPath()[0];
    return element instanceof HTMLTextAreaElement && element.closest(BOXES.join()) ? element : null;
  }

  /** @returns {HTMLTextAreaElement[]} */
  const boxes = () => [...root().querySelectorAll(BOXES.map((box) => `${box} textarea`).join())].filter((box) => box instanceof HTMLTextAreaElement);

  function mode() {
    const said = String(options()["lora_manager_completion"] ?? "on").toLowerCase();
    return said === "off" || said === "tags only" ? said : "on";
  }

  /** Where the frame of the app is, too, whatever path the host is served under. @param {string} path */
  const address = (path) => new URL(`lora-manager/api/v1/${path}`, document.baseURI).href;

  /** The page's cookie says who asks; a host whose page signs its requests itself is asked to. @param {string} url @param {RequestInit} wanted */
  async function send(url, wanted) {
    if (!throughHost) {
      const answer = await fetch(url, wanted);
      if (answer.status !== 401 || !host.authFetch) return answer;
      throughHost = true;
    }
    return host.authFetch?.(url, { ...wanted, signal: null }); // it would log each request that is taken back
  }

  /** @param {string} path @param {unknown} body @param {AbortSignal} [signal] @param {"POST" | "DELETE"} [method] @returns {Promise<any>} null: no answer; false: what is asked for is gone */
  async function request(path, body, signal, method = "POST") {
    if (performance.now() < quietUntil) return null;
    const headers = { "Content-Type": "application/json" };
    try {
      const answer = await send(address(path), { method, credentials: "same-origin", headers, body: JSON.stringify(body) ?? null, signal: signal ?? null });
      if (answer?.ok) return await answer.json();
      const status = answer?.status ?? 503;
      const said = await answer?.json().catch(() => null);
      if (said?.error?.code === "unavailable") return null; // it is there, and busy with this
      if (said?.error?.code === "not_found") return false;
      if (status !== 400 && status !== 422) quietUntil = performance.now() + (status < 500 ? REFUSED : AWAY);
    } catch {
      if (!signal?.aborted) quietUntil = performance.now() + AWAY;
    }
    return null;
  }

  /** Put a text in the place of another, so that the browser's undo takes it back. @param {HTMLTextAreaElement} element @param {number} start @param {number} end @param {string} text */
  function replace(element, start, end, text) {
    const wanted = element.value.slice(0, start) + text + element.value.slice(end);
    writing = true;
    try {
      element.focus({ preventScroll: true });
      element.setSelectionRange(start, end);
      document.execCommand(text ? "insertText" : "delete", false, text);
      if (element.value !== wanted) {
        element.value = wanted;
        if (host.updateInput) host.updateInput(element);
        else element.dispatchEvent(new Event("input", { bubbles: true }));
      }
      element.setSelectionRange(start + text.length, start + text.length);
    } finally {
      writing = false;
    }
  }

  /** The API counts characters, a page counts UTF-16 units. @param {string} text @param {number} units */
  function charactersOf(text, units) {
    let pairs = 0;
    for (let at = 0; at + 1 < units; at += 1) {
      const unit = text.charCodeAt(at);
      const next = text.charCodeAt(at + 1);
      if (unit >= 0xd800 && unit < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
        pairs += 1;
        at += 1;
      }
    }
    return units - pairs;
  }

  /** @param {string} text @param {number} characters */
  function unitsOf(text, characters) {
    let at = 0;
    for (let count = 0; count < characters && at < text.length; count += 1) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
    return at;
  }

  /** Light text stands on a dark page. @param {Element} element */
  function isDark(element) {
    const [red = 0, green = 0, blue = 0] = getComputedStyle(element).color.match(/[\d.]+/g)?.map(Number) ?? [];
    return 0.299 * red + 0.587 * green + 0.114 * blue > 128;
  }

  /** @param {Element} element */
  const isShown = (element) => element.getClientRects().length > 0 && getComputedStyle(element).visibility === "visible";

  /** @param {HTMLTextAreaElement} box */
  function footOf(box) {
    const owner = box.closest("[id$=_prompt]");
    let foot = owner?.querySelector(":scope > .lora-manager-foot") ?? null;
    if (!owner || foot) return foot;
    foot = document.createElement("div");
    foot.className = "lora-manager-foot";
    owner.append(foot);
    return foot;
  }

  /** SDNext's Modern UI lays its boxes over all of their pane: there our lines lie at the pane's foot, and the text ends above them. @param {HTMLTextAreaElement} box */
  function makeRoom(box) {
    const foot = footOf(box);
    if (!foot) return;
    const over = getComputedStyle(box).position === "absolute";
    foot.classList.toggle("lora-manager-foot-over", over);
    foot.classList.toggle("lora-manager-dark", isDark(box));
    const { height } = foot.getBoundingClientRect();
    if (over) box.style.setProperty("padding-bottom", height ? `${height + 4}px` : "");
  }

  /** @type {LoraManagerPrompts} */
  const shared = { boxOf, boxes, root, options, mode, request, address, replace, isWriting: () => writing, charactersOf, unitsOf, isDark, isShown, footOf, makeRoom };
  Object.assign(window, { loraManagerPrompts: Object.freeze(shared) });
})();
