// Talks with the host's page when this page is a frame in its tab. Both sides are of one origin, and both check that and
// who speaks. Every message is {app: "lora-manager", type, …}:
//   to the host's page    hello · insert {name, weight, words} · remove {name} · text {text} · negative {text} ·
//                         write {target, prompt, negative_prompt} · go {target}
//   from the host's page  host {host, dark, target, targets} · prompt {target, loras: [{name, weight}], words_text,
//                         negative_prompt}
import { Emitter } from "./dom.js";

const APP = "lora-manager";

/** @typedef {{host: string, dark: boolean, target: string, targets: string[]}} Host targets: the tabs that have prompts */

/** Emits "host" (it answered, or its theme or target changed) and "prompt" (what is in the prompt changed). */
class Bridge extends Emitter {
  constructor() {
    super();
    /** @type {Host|null} null when standalone, or not answered yet */
    this.host = null;
    /** @type {Map<string, number|null>} LoRAs in the prompt, names in lower case */
    this.loras = new Map();
    /** The prompt's text without LoRA tags, in lower case with single spaces. */
    this.text = "";
    /** The prompt as it stands in the host's boxes; null until it is known. @type {string|null} */
    this.prompt = null;
    /** @type {string|null} */
    this.negative = null;
  }

  start() {
    if (window.parent === window) return;
    window.addEventListener("message", (event) => {
      if (event.origin === location.origin && event.source === window.parent) this.#receive(event.data);
    });
    for (const wait of [0, 300, 1000, 3000, 8000]) {
      setTimeout(() => {
        if (!this.host) this.#send({ type: "hello" });
      }, wait);
    }
  }

  /** Is this LoRA's tag in the prompt? */
  holds(/** @type {string} */ name) {
    return this.loras.has(name.toLowerCase());
  }

  /** Are these words in the prompt? */
  says(/** @type {string} */ words) {
    const wanted = plain(words).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return wanted !== "" && new RegExp(`(?<![\\p{L}\\p{N}_])${wanted}(?![\\p{L}\\p{N}_])`, "u").test(this.text);
  }

  insert(/** @type {string} */ name, /** @type {number|null} */ weight) {
    this.#send({ type: "insert", name, weight, words: [] });
    this.#expect(() => this.loras.set(name.toLowerCase(), weight));
  }

  remove(/** @type {string} */ name) {
    this.#send({ type: "remove", name });
    this.#expect(() => this.loras.delete(name.toLowerCase()));
  }

  append(/** @type {string} */ text) {
    this.#send({ type: "text", text });
  }

  appendNegative(/** @type {string} */ text) {
    this.#send({ type: "negative", text });
  }

  /** Set both boxes of a tab. */
  write(/** @type {string} */ target, /** @type {string} */ prompt, /** @type {string} */ negative) {
    this.#send({ type: "write", target, prompt, negative_prompt: negative });
  }

  /** Show a tab of the host, where that can be done. */
  go(/** @type {string} */ target) {
    this.#send({ type: "go", target });
  }

  /** Show at once what the host's page will confirm in a moment with its "prompt" message. */
  #expect(/** @type {() => void} */ change) {
    change();
    this.emit("prompt");
  }

  #send(/** @type {Record<string, unknown>} */ message) {
    window.parent.postMessage({ app: APP, ...message }, location.origin);
  }

  #receive(/** @type {any} */ message) {
    if (!message || message.app !== APP) return;
    if (message.type === "host") {
      this.host = { host: String(message.host ?? ""), dark: Boolean(message.dark), target: String(message.target ?? ""), targets: Array.isArray(message.targets) ? message.targets.map(String) : [] };
      this.emit("host", this.host);
    } else if (message.type === "prompt" && Array.isArray(message.loras)) {
      this.loras = new Map(message.loras.map((/** @type {any} */ one) => [String(one.name).toLowerCase(), one.weight ?? null]));
      this.prompt = String(message.words_text ?? "");
      this.negative = typeof message.negative_prompt === "string" ? message.negative_prompt : null;
      this.text = plain(String(message.words_text ?? "").replace(/<(?:lora|lyco):[^>]*>/gi, " "));
      this.emit("prompt");
    }
  }
}

const plain = (/** @type {string} */ text) => text.toLowerCase().replace(/\s+/g, " ").trim();

export const bridge = new Bridge();
