// Opens a prompt in the composer, from anywhere in the app.
import { query } from "../query.js";
import { draft } from "./draft.js";
import { link } from "./link.js";

/** @param {string} prompt @param {string} negative */
export function openInComposer(prompt, negative) {
  link.take(); // so that undo leads back to what stood in the host
  draft.set({ prompt, negative_prompt: negative, muted: [] });
  link.give();
  query.setPage("compose");
}
