// The LoRAs of the prompt as a stack, for the map of how much they pull on the same directions.
import { titleOf } from "../format.js";
import { HeatButton } from "../recommend/heatbutton.js";
import { stackOf } from "../recommend/stack.js";
import { weigh } from "./chips.js";
import { draft } from "./draft.js";
import { reader } from "./reader.js";

/** The tags of a LoRA that stand in the prompt itself. @param {number} id */
const tagsOf = (id) => reader.chips.filter(({ kind, lora }) => lora?.id === id && (kind === "lora" || kind === "lyco"));

/** @returns {{element: HTMLElement, draw: () => void}} */
export function stackButton() {
  const button = new HeatButton({
    members: () => stackOf(draft.state.prompt, (id) => {
      const [tag, ...others] = tagsOf(id);
      return tag?.lora ? { title: titleOf(tag.lora), weight: others.length ? null : (tag.weight ?? tag.lora.weight ?? 1), usual: tag.lora.weight } : null;
    }),
    weigh: (id, weight) => {
      const [tag] = tagsOf(id);
      if (tag) weigh(tag, weight, "weight");
    },
  });
  const draw = () => {
    const names = reader.chips.flatMap(({ kind, name, lora, set, weight }) => (set ? set.loras.map((one) => one.name) : kind === "draw" ? [`?${name}`] : lora && weight !== 0 ? [lora.name] : []));
    button.show(new Set(names).size);
  };
  return { element: button.element, draw };
}
