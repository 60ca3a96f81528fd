// On narrow windows the rail is a sheet over the grid.
import { find } from "../dom.js";

export function startSheet() {
  const rail = find("filter-rail");
  const button = find("#filters-button");
  const open = (/** @type {boolean} */ on) => {
    document.body.classList.toggle("rail-open", on);
    button.setAttribute("aria-expanded", String(on));
    if (on) rail.querySelector("button")?.focus();
    else if (rail.contains(document.activeElement)) button.focus();
  };
  button.addEventListener("click", () => open(!document.body.classList.contains("rail-open")));
  find("#rail-close").addEventListener("click", () => open(false));
  find("#shade").addEventListener("click", () => open(false));
  return { close: () => open(false), isOpen: () => document.body.classList.contains("rail-open") };
}
