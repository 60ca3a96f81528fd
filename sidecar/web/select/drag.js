// Cards that are dragged: the card under the pointer, or with it everything that is selected.
import { h } from "../dom.js";
import { plural } from "../format.js";
import { library } from "../library.js";
import { selection } from "./selection.js";

/** @typedef {import("../types.js").Selection} Chosen */

/** What a drop target looks for; other drags over the page are none of its business. */
export const DRAG_TYPE = "application/x-lora-manager";

/** @type {{many: number, chosen: () => Promise<Chosen>}|null} */
let load = null;

/** What is being dragged now. */
export const dragged = () => load;

/** Let a grid's cards be dragged (where there is a mouse; on touch a long press selects). */
export function startDrag(/** @type {HTMLElement} */ grid) {
  if (!window.matchMedia("(hover: hover)").matches) return;
  grid.addEventListener("dragstart", (event) => {
    const card = event.target instanceof Element ? event.target.closest(".card") : null;
    const lora = card instanceof HTMLElement ? library.get(Number(card.dataset["index"])) : undefined;
    if (!lora || !event.dataTransfer) return event.preventDefault();
    const together = selection.has(lora.id);
    load = together ? { many: selection.count, chosen: () => selection.chosen() } : { many: 1, chosen: async () => ({ ids: [lora.id] }) };
    event.dataTransfer.effectAllowed = "copy";
    event.dataTransfer.setData(DRAG_TYPE, String(load.many));
    const ghost = h("div", { class: "drag-ghost" }, load.many === 1 ? lora.title || lora.name : plural(load.many, "LoRA"));
    document.body.append(ghost);
    event.dataTransfer.setDragImage(ghost, -12, -12);
    setTimeout(() => ghost.remove());
    document.body.classList.add("dragging");
    return undefined;
  });
  grid.addEventListener("dragend", () => {
    load = null;
    document.body.classList.remove("dragging");
  });
}
