// Small helpers for building DOM nodes and for calling things later. No knowledge of LoRAs.

/** @typedef {Node|string|number|null|undefined|false} Child */

/**
 * Make an element. Properties starting with "on" are listeners, `class`, `aria-*`, `data-*` and `role` are attributes,
 * `style` is an object; anything else is set as a property.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, to] of Object.entries(value)) element.style.setProperty(key, String(to));
    else if (name === "class" || name === "role" || name === "for" || name.includes("-")) element.setAttribute(name, String(value));
    else Reflect.set(element, name, value);
  }
  add(element, children);
  return element;
}

/**
 * @param {Element|DocumentFragment} parent
 * @param {Child[]} children
 */
export function add(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
}

/**
 * The one element a selector must find.
 * @template {HTMLElement} [E=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {E}
 */
export function find(selector, root = document) {
  const element = root.querySelector(selector);
  if (!element) throw new Error(`nothing matches ${selector}`);
  return /** @type {E} */ (element);
}

/**
 * @template {any[]} A
 * @param {(...args: A) => void} call
 * @param {number} wait milliseconds
 * @returns {((...args: A) => void) & {cancel: () => void}}
 */
export function debounce(call, wait) {
  let timer = 0;
  /** @type {(...args: A) => void} */
  const later = (...args) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => call(...args), wait);
  };
  return Object.assign(later, { cancel: () => clearTimeout(timer) });
}

/**
 * Run at once, then at most once in `wait` milliseconds however often it is called; the last call is never lost.
 * @param {() => void} call
 * @param {number} wait
 */
export function throttle(call, wait) {
  let last = -Infinity;
  let timer = 0;
  return () => {
    if (timer) return;
    const rest = last + wait - performance.now();
    const run = () => {
      timer = 0;
      last = performance.now();
      call();
    };
    if (rest <= 0) run();
    else timer = window.setTimeout(run, rest);
  };
}

/** True while the user is typing into a field, so that single-key shortcuts stay out of the way. */
export function isTyping(/** @type {EventTarget|null} */ target) {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));
}

/** A typed event target: modules tell each other what happened through one of these. */
export class Emitter extends EventTarget {
  /**
   * @param {string} type
   * @param {any} [detail]
   */
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /**
   * @param {string} type
   * @param {(detail: any) => void} call
   */
  on(type, call) {
    this.addEventListener(type, (event) => call(/** @type {CustomEvent} */ (event).detail));
  }
}
