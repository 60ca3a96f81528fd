// The text model on the page of settings: which is in use or why none is, how far it has read, which it should be and where it runs.
import { ApiError, request } from "../api.js";
import { h } from "../dom.js";
import { live } from "../events.js";
import { count, plural } from "../format.js";
import { icon } from "../icons.js";
import { frame, put } from "../pages/field.js";
import { marked } from "../pages/parts.js";

/**
 * @typedef {import("../pages/field.js").Setting} Setting
 * @typedef {object} TextModel as `embeddings` in GET recommendations/status
 * @property {boolean} available
 * @property {string|null} model
 * @property {number} done
 * @property {number} pending
 * @property {string|null} device
 * @property {string|null} message
 */

/** The settings, with their state before them; it follows what happens until `signal` says that the page is left. @returns {Setting[]} */
export function textModel(/** @type {AbortSignal} */ signal) {
  return [state(signal), model(), device()];
}

/** @returns {Setting} */
function state(/** @type {AbortSignal} */ signal) {
  const element = h("div", { class: "model-state", role: "status" });
  let turn = 0;
  const look = async () => {
    turn += 1;
    const mine = turn;
    try {
      const { embeddings } = await request("GET", "recommendations/status");
      if (mine === turn && !signal.aborted) draw(element, embeddings);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the banner says it
    }
  };
  live.addEventListener("embeddings.progress", () => void look(), { signal });
  return { element, show: () => void look() };
}

function draw(/** @type {HTMLElement} */ place, /** @type {TextModel} */ now) {
  place.classList.toggle("good", now.available);
  const lines = now.available ? [h("strong", null, now.model), h("span", null, progress(now))] : [];
  if (now.message) lines.push(h("span", null, ...marked(now.message)));
  place.replaceChildren(icon(now.available ? "check" : "info"), h("div", null, ...lines));
}

function progress(/** @type {TextModel} */ now) {
  const { done, pending } = now;
  const where = now.device && now.device !== "cpu" ? ", on the GPU" : "";
  if (pending) return `${plural(done, "text")} read${where}, ${count(pending)} to go`;
  return done ? `All ${plural(done, "text")} read` : "Nothing to read yet";
}

/** @returns {Setting} */
function model() {
  const box = h("input", { placeholder: "all-MiniLM-L6-v2", spellcheck: false, autocomplete: "off", maxLength: 1000 });
  const about = "Finds LoRAs by what a prompt means, not only by its words. The name of a model that is on this machine, or its folder. Nothing is downloaded by itself; another model reads all texts anew.";
  const { element, save } = frame("embedding_model", "Model", box, [about]);
  box.addEventListener("change", () => void save(box.value.trim() || null));
  return { element, show: (values) => put(box, values.embedding_model) };
}

/** @returns {Setting} */
function device() {
  const choices = [["cpu", "on the CPU"], ["gpu", "on the GPU, while the host is idle"], ["off", "not at all"]];
  const box = h("select", { class: "short-box" }, ...choices.map(([value, text]) => h("option", { value }, text)));
  const { element, save } = frame("embedding_device", "Read texts", box, ["In the background and with low priority. On the GPU only when there are 500 or more to read."]);
  box.addEventListener("change", () => void save(box.value));
  return { element, show: (values) => put(box, values.embedding_device) };
}
