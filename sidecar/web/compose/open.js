// Opens a prompt in the composer, from anywhere in the app.
import { weight as shown } from "../format.js";
import { query } from "../query.js";
import { draft } from "./draft.js";
import { inserted } from "./edits.js";
import { link } from "./link.js";

/** @param {string} prompt @param {string} negative */
export function openInComposer(prompt, negative) {
  link.take(); // so that undo leads back to what stood in the host
  draft.set({ prompt, negative_prompt: negative, muted: [] });
  link.give();
  query.setPage("compose");
}

/** Add the LoRAs that are not in its prompt yet. @param {{name: string, weight: number|null}[]} loras */
export function addToComposer(loras) {
  link.take();
  let { prompt } = draft.state;
  for (const { name, weight } of loras) {
    if (!prompt.toLowerCase().includes(`:${name.toLowerCase()}:`) && !prompt.toLowerCase().includes(`:${name.toLowerCase()}>`)) prompt = inserted(prompt, `<lora:${name}:${shown(weight ?? 1)}>`, undefined, []);
  }
  draft.set({ prompt });
  link.give();
  query.setPage("compose");
}
