// Which LoRAs a prompt would have in effect, and how strongly: as the sidecar composes it for the host.
import { request } from "../api.js";

/**
 * @typedef {import("./heatmath.js").Stacked} Stacked
 * @typedef {{title: string, weight: number|null, usual: number|null}} About what the page knows of a LoRA of the prompt
 */

/**
 * @param {string} prompt
 * @param {(id: number) => About|null} about null: it stands not in the prompt itself
 * @returns {Promise<Stacked[]>} those that change anything, one that is named twice with the sum
 * @throws {import("../api.js").ApiError}
 */
export async function stackOf(prompt, about) {
  const { loras } = await request("POST", "prompts/compose", { body: { prompt, seed: 0 } });
  /** @type {Map<number, Stacked>} */
  const found = new Map();
  for (const { id, name, te, unet, dyn } of loras) {
    const known = about(id);
    const before = found.get(id);
    if (before) {
      found.set(id, { ...before, te: before.te + te, unet: before.unet.map((one, at) => one + unet[at]), weight: null });
      continue;
    }
    const title = known?.title ?? name;
    const note = dyn === null ? "" : `${title} is used with dyn=${dyn}, a part of its rank; it is compared whole.`;
    found.set(id, { id, name, title, weight: known?.weight ?? null, usual: Math.abs(known?.usual || 1), te, unet, note });
  }
  return [...found.values()].filter(({ te, unet }) => te !== 0 || unet.some((one) => one !== 0));
}
