// A set was saved or deleted by somebody else while it is edited here: what they did, and whose word counts.
import { request } from "../api.js";
import { attempt } from "../ask.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { differences } from "./diff.js";

/** @typedef {import("../types.js").LoraSet} LoraSet */

export class Clash {
  /**
   * @param {{load: (set: LoraSet) => void, overwrite: (set: LoraSet) => void}} calls load: show theirs, and drop what was
   *     changed here; overwrite: save what is here over it
   */
  constructor({ load, overwrite }) {
    this.load = load;
    this.overwrite = overwrite;
    this.element = h("div", { class: "conflict", role: "alert", hidden: true });
  }

  hide() {
    this.element.hidden = true;
  }

  /** @param {LoraSet} base what the changes were made from @param {LoraSet} now */
  show(base, now) {
    const changes = differences(base, now);
    this.#say(`Meanwhile this set was saved as version ${now.version}.`, changes.length ? `What changed there: ${changes.slice(0, 8).join("; ")}.` : "It says the same as before.", [
      this.#choice("Load the newer one", () => this.load(now)),
      this.#choice("Overwrite it with mine", () => this.overwrite(now)),
    ]);
  }

  /** @param {LoraSet} base @param {string} message */
  showDeleted(base, message) {
    const back = this.#choice("Bring it back", async () => {
      const now = await attempt(() => request("POST", `sets/${base.id}/restore`, { body: {} }), { button: back, failed: "Not brought back" });
      if (!now) return;
      this.hide();
      this.overwrite(now);
    });
    this.#say(message, "What you changed here is saved with it.", [back]);
  }

  #choice(/** @type {string} */ text, /** @type {() => void} */ run) {
    return h("button", { class: "small-button", type: "button", onclick: run }, text);
  }

  #say(/** @type {string} */ title, /** @type {string} */ text, /** @type {HTMLButtonElement[]} */ choices) {
    this.element.replaceChildren(h("p", null, icon("warn"), h("strong", null, title)), h("div", { class: "clash-text" }, text), h("div", { class: "conflict-actions" }, ...choices));
    this.element.hidden = false;
  }
}
