// The composer: the prompt as text and as rows of its LoRAs, what is wrong with it, and what the host will get.
import { bridge } from "../bridge.js";
import { find, h } from "../dom.js";
import { live } from "../events.js";
import { weight } from "../format.js";
import { Suggestions } from "../recommend/suggestions.js";
import { Adder } from "./adder.js";
import { Chips } from "./chips.js";
import { draft } from "./draft.js";
import { PromptField } from "./fields.js";
import { Given } from "./given.js";
import { takePictures } from "./image.js";
import { inserted } from "./edits.js";
import { link } from "./link.js";
import { reader } from "./reader.js";
import { stackButton } from "./stack.js";
import { tools } from "./tools.js";

let over = new AbortController();

export function open(/** @type {HTMLElement} */ container) {
  over = new AbortController();
  const { signal } = over;
  const prompt = new PromptField("prompt", "Prompt", "What should be seen, with <lora:name:0.8> and <set:name>", 8);
  const negative = new PromptField("negative_prompt", "Negative prompt", "What should not be seen", 3);
  const chips = new Chips();
  const adder = new Adder();
  const given = new Given();
  const suggestions = new Suggestions(({ lora, weight: proposed }) => {
    const tag = `<lora:${lora.name}:${weight(proposed ?? 1)}>`;
    draft.set({ prompt: inserted(draft.state.prompt, tag, undefined, reader.current ? reader.chips : []) });
  });
  const bar = tools();
  const sum = h("span", { class: "compose-sum" });
  const stack = stackButton();
  const trouble = h("p", { class: "problem compose-trouble", role: "alert", hidden: true });
  const side = h("section", { class: "compose-side", "aria-label": "LoRAs" }, h("div", { class: "compose-head" }, h("h2", null, "LoRAs"), sum, stack.element), adder.element, chips.element, suggestions.element);
  container.append(trouble, h("div", { class: "compose" }, prompt.element, side, negative.element, given.element));
  find("#page-tools").append(bar.element);

  const changed = (/** @type {string} */ from) => {
    for (const field of [prompt, negative]) if (from !== "typing") field.take();
    if (from !== "host") link.give();
    bar.draw();
    reader.soon();
  };
  const drawn = () => {
    trouble.hidden = true;
    for (const field of [prompt, negative]) field.draw();
    chips.draw();
    stack.draw();
    given.draw();
    suggestions.show(draft.state.prompt, reader.current ? reader.chips.flatMap(({ lora }) => (lora ? [lora.name] : [])) : []);
    sum.textContent = reader.sum ? `Weights add up to ${weight(reader.sum)}` : "";
  };
  draft.addEventListener("change", (event) => changed(/** @type {CustomEvent} */ (event).detail.from), { signal });
  reader.addEventListener("read", drawn, { signal });
  reader.addEventListener("trouble", (event) => {
    trouble.textContent = /** @type {CustomEvent} */ (event).detail;
    trouble.hidden = false;
  }, { signal });
  for (const type of ["library.changed", "sets.changed", "settings.changed", "host.changed", "reset", "up"]) live.addEventListener(type, () => reader.soon(), { signal });
  for (const type of ["recommendations.changed", "host.changed"]) live.addEventListener(type, () => suggestions.again(), { signal });
  signal.addEventListener("abort", () => suggestions.stop());
  bridge.addEventListener("prompt", () => link.take(), { signal });
  bridge.addEventListener("host", () => (bar.draw(), link.take()), { signal });
  container.addEventListener("keydown", undoKeys, { signal });
  takePictures(container, signal);
  link.take();
  bar.draw();
  void reader.read();
}

export function close() {
  over.abort();
  reader.stop();
}

/** The page's own undo, also in its text boxes: theirs knows nothing of sliders. */
function undoKeys(/** @type {KeyboardEvent} */ event) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) draft.undo();
  else if (key === "y" || (key === "z" && event.shiftKey)) draft.redo();
  else return;
  event.preventDefault();
  event.stopPropagation();
}
