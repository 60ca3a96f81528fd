// The LoRAs of a set that is being edited as a stack, for the map of how much they pull on the same directions.
import { HeatButton } from "../recommend/heatbutton.js";
import { stackOf } from "../recommend/stack.js";

/** @typedef {import("./member.js").MemberRow} MemberRow */
/** @typedef {import("../types.js").SetLora} SetLora */

const NAMED = /** @type {const} */ (["te", "unet", "in", "mid", "out", "dyn"]);

/** The tag that a prompt would have for a LoRA of the set. @param {SetLora} member */
function tagOf(member) {
  const named = NAMED.filter((key) => member[key] !== null);
  if (!named.length) return `<lora:${member.name}${member.weight === null ? "" : `:${member.weight}`}>`;
  const weight = member.weight ?? member.usual_weight ?? 1;
  const parts = named.map((key) => `${key}=${member[key]}`);
  if (member.te !== null && member.unet === null) parts.push(`unet=${weight}`); // te= alone would set it, too
  return `<lora:${[member.name, weight, ...parts].join(":")}>`;
}

/**
 * @param {() => MemberRow[]} rows
 * @param {() => string} prompt the set's own text, which may hold tags and other sets
 */
export function stackButton(rows, prompt) {
  const rowOf = (/** @type {number} */ id) => rows().find(({ member }) => member.lora_id === id && member.state === "ok");
  return new HeatButton({
    members: () => stackOf([prompt(), ...rows().filter(({ member }) => member.state === "ok").map(({ member }) => tagOf(member))].join(" "), (id) => {
      const member = rowOf(id)?.member;
      return member ? { title: member.title, weight: member.weight ?? member.usual_weight ?? 1, usual: member.usual_weight } : null;
    }),
    weigh: (id, weight) => rowOf(id)?.weigh(weight),
  });
}
