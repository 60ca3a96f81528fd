// Live messages from the sidecar over WebSocket: numbered, resumed after a break, retried with back-off.
import { ApiError, address, readHealth } from "./api.js";
import { Emitter } from "./dom.js";

const WAITS = [500, 1000, 2000, 4000, 8000, 15000];

/**
 * Emits every message by its type (library.scan, library.changed, …) with its data; "reset" when messages were missed;
 * "down" {seconds until the next try, message of the host's proxy if it gave one} and "up" about the sidecar itself.
 */
class Live extends Emitter {
  constructor() {
    super();
    /** Number of the last message; null before the first connection. */
    this.last = /** @type {number|null} */ (null);
    /** @type {WebSocket|null} */
    this.socket = null;
    this.failures = 0;
    this.timer = 0;
    this.down = false;
    this.running = false;
  }

  start() {
    if (this.running) return;
    this.running = true;
    window.addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.socket === null && this.retry());
    this.#connect();
  }

  /** Try again now. */
  retry() {
    if (!this.running || this.socket) return;
    clearTimeout(this.timer);
    this.#connect();
  }

  #connect() {
    const url = address("api/v1/events");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (this.last !== null) url.searchParams.set("after", String(this.last));
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.addEventListener("message", (event) => this.#receive(JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      this.socket = null;
      void this.#closed();
    });
  }

  #receive(/** @type {import("./types.js").LiveMessage} */ message) {
    const first = this.last === null;
    const same = !first && message.n <= /** @type {number} */ (this.last);
    if (message.type === "hello") {
      this.failures = 0;
      const missed = this.down && (first || message.data?.reset);
      if (message.data?.reset || first) this.last = message.n;
      this.#setDown(false);
      if (missed || (message.data?.reset && !first)) this.emit("reset");
      return;
    }
    if (same) return;
    this.last = message.n;
    this.emit(message.type, message.data);
  }

  /** A proxy may refuse WebSockets while the sidecar is well: then the page asks now and then instead. */
  async #closed() {
    const wait = WAITS[Math.min(this.failures, WAITS.length - 1)] ?? 15000;
    this.failures += 1;
    this.timer = window.setTimeout(() => this.retry(), wait);
    try {
      await readHealth();
      this.#setDown(false);
      if (this.failures > 2) this.emit("polled");
    } catch (error) {
      if (error instanceof ApiError && (error.status === 0 || error.status >= 500)) this.#setDown(true, wait, error.status === 0 ? "" : error.message);
    }
  }

  #setDown(/** @type {boolean} */ down, wait = 0, message = "") {
    const before = this.down;
    this.down = down;
    if (down) this.emit("down", { seconds: wait / 1000, message });
    else if (before) this.emit("up");
  }
}

export const live = new Live();
