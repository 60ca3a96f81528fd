// The settings that the page follows: asked for at the start, and anew whenever somebody changes them.
import { ApiError, request } from "./api.js";
import { Emitter } from "./dom.js";
import { live } from "./events.js";

/** @typedef {import("./types.js").Lora} Lora */
/** @typedef {import("./types.js").Preferences} Values */

/** Emits "change" when they have arrived or changed. */
class Preferences extends Emitter {
  constructor() {
    super();
    /** @type {Values|null} */
    this.values = null;
  }

  /** Follow their changes. */
  start() {
    live.on("settings.changed", () => void this.load());
    live.on("reset", () => void this.load());
  }

  async load() {
    try {
      this.take(await request("GET", "settings"));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // what needs them waits; the page says that the sidecar is away
    }
  }

  take(/** @type {Values} */ values) {
    if (JSON.stringify(values) === JSON.stringify(this.values)) return;
    this.values = values;
    this.emit("change", values);
  }

  /** Should this LoRA's picture be blurred until it is asked for? `blur_from` 0 blurs nothing. */
  blurs(/** @type {Lora} */ lora) {
    const from = this.values?.blur_from ?? 8;
    return from > 0 && lora.nsfw >= from;
  }
}

export const preferences = new Preferences();
