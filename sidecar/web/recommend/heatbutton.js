// The button that opens the heat map of LoRAs that are stacked; the map itself is loaded when it is asked for.
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { toast } from "../toast.js";

/**
 * @typedef {object} Stack LoRAs that go together
 * @property {() => Promise<import("./heatmath.js").Stacked[]>} members those that have an effect, as they are now
 * @property {(id: number, weight: number) => void} weigh give one of them another weight
 */

export class HeatButton {
  /** @param {Stack} stack */
  constructor(stack) {
    this.element = h("button", { class: "quiet heat-open", type: "button", hidden: true, "aria-haspopup": "dialog", title: "How much these LoRAs pull on the same directions, block by block" }, icon("heat"), "Interference");
    this.element.addEventListener("click", () => void this.#open(stack));
  }

  /** Shown where there is something to compare. @param {number} count of LoRAs */
  show(count) {
    this.element.hidden = count < 2;
  }

  async #open(/** @type {Stack} */ stack) {
    this.element.setAttribute("aria-busy", "true");
    const map = await import("./heatmap.js").catch(() => null);
    this.element.removeAttribute("aria-busy");
    if (map) map.openHeat(stack, this.element);
    else toast("The heat map could not be loaded. LoRA Manager may be restarting; reload the page.", { kind: "error" });
  }
}
