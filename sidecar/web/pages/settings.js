// The page of settings: each is saved as soon as it is changed, says so, and says at its place why when it is not.
import { ApiError, request } from "../api.js";
import { debounce, h } from "../dom.js";
import { icon } from "../icons.js";
import { preferences } from "../preferences.js";
import { saidOfSuggestions } from "../recommend/said.js";
import { textModel } from "../recommend/textmodel.js";
import { frame, put } from "./field.js";
import { trouble } from "./parts.js";

/** @typedef {import("../types.js").Lora} Lora */
/** @typedef {import("./field.js").Setting} Setting */

let over = new AbortController();
/** @type {Setting[]} */
let settings = [];

/** @returns {Promise<void>} */
export async function open(/** @type {HTMLElement} */ container) {
  over = new AbortController();
  await preferences.load();
  if (over.signal.aborted) return;
  const { values } = preferences;
  if (!values) return container.replaceChildren(trouble("LoRA Manager does not answer.", () => (container.replaceChildren(), void open(container))));
  settings = [];
  const group = (/** @type {string} */ title, /** @type {Setting[]} */ ...parts) => {
    settings.push(...parts);
    return h("section", { class: "settings-group", "aria-label": title }, h("h2", null, title), ...parts.map(({ element }) => element));
  };
  container.append(
    h(
      "div",
      { class: "settings" },
      group("Side files", writeBack()),
      group("Prompts", beforeGenerating(), weightCap()),
      group("Files", organise(), trashDays()),
      group("Pictures", blur()),
      saidOfSuggestions(over.signal),
      group("Text model", ...textModel(over.signal)),
      group("Civitai", address("civitai_url", "Address", "https://civitai.com", "Where models are looked up and downloaded from; a mirror works too."), address("civitai_archive_url", "Archive", "https://civarchive.com", "Asked when Civitai does not know a file any more. Leave it empty to ask nobody.", ""), key()),
    ),
  );
  for (const setting of settings) setting.show(values);
  preferences.addEventListener("change", () => preferences.values && settings.forEach((setting) => preferences.values && setting.show(preferences.values)), { signal: over.signal });
}

export function close() {
  over.abort();
}

/**
 * A choice of a few, each with a line that says what it does.
 * @param {"write_back"|"before_generating"} name
 * @param {string} label
 * @param {readonly (readonly [string, string, string])[]} choices value, text, explanation
 * @param {string} about
 * @returns {Setting}
 */
function choice(name, label, choices, about) {
  const options = choices.map(([value, text, meaning]) => {
    const radio = h("input", { type: "radio", name, value });
    radio.addEventListener("change", () => void save(value));
    return h("label", { class: "choice" }, radio, h("span", null, h("strong", null, text), h("span", { class: "hint" }, meaning)));
  });
  const group = h("div", { class: "choices", role: "radiogroup", "aria-label": label }, ...options);
  const { element, save } = frame(name, label, group, [about]);
  return {
    element,
    show(values) {
      for (const radio of group.querySelectorAll("input")) radio.checked = radio.value === values[name];
    },
  };
}

/** @returns {Setting} */
function writeBack() {
  const choices = /** @type {const} */ ([
    ["off", "Off", "Nothing is written beside your files. What you say is kept in the data folder alone."],
    ["a1111", "NAME.json", "As A1111, Forge and reForge read it: trigger words, weight, notes, base model."],
    ["metadata", "NAME.metadata.json", "As LoRA Manager for ComfyUI reads it."],
  ]);
  return choice("write_back", "Write edits to side files", choices, "Keys that others wrote are kept, a file of another kind is never turned into this one, and nothing is written on a read-only drive.");
}

/** @returns {Setting} */
function beforeGenerating() {
  const choices = /** @type {const} */ ([
    ["tell", "Tell", "LoRAs stay as you typed them. What is wrong is said in the host's log and in the image's parameters."],
    ["fix", "Fix", "What can be mended is: a misspelt name, a decimal comma, a weight that is missing. The rest is told."],
    ["stop", "Stop", "As Fix, but a prompt with an error left in it, such as a LoRA that is not there, is not generated."],
  ]);
  return choice("before_generating", "Before generating", choices, "Sets and draws are always put in. Whichever you choose, a prompt is never held up when LoRA Manager itself does not answer.");
}

/** @returns {Setting} */
function weightCap() {
  const box = h("input", { type: "number", min: 0, max: 1000, step: "any", class: "short-box", inputMode: "decimal" });
  const { element, save, refuse } = frame("weight_cap", "Cap on the sum of weights", box, ["When the weights of a prompt's LoRAs add up to more, all are scaled down alike, unless you chose Tell. 0 is no cap."]);
  box.addEventListener("change", () => {
    if (box.validity.valid) void save(box.value === "" ? null : Number(box.value));
    else refuse("Give a number from 0 to 1000, such as 2.5; 0 is no cap.");
  });
  return { element, show: (values) => put(box, String(values.weight_cap)) };
}

/** @returns {Setting} */
function trashDays() {
  const box = h("input", { type: "number", min: 0, max: 3650, step: 1, class: "short-box", inputMode: "numeric" });
  const { element, save, refuse } = frame("trash_days", "Days in the trash", box, ["How long what you delete can be brought back. 0 keeps it until you empty the trash."]);
  box.addEventListener("change", () => {
    if (box.validity.valid) void save(box.value === "" ? null : Number(box.value));
    else refuse("Give a whole number of days, from 0 to 3650.");
  });
  return { element, show: (values) => put(box, String(values.trash_days)) };
}

/** @returns {Setting} */
function blur() {
  const choices = /** @type {[number, string][]} */ ([[0, "Never"], [2, "PG-13 and above"], [4, "R and above"], [8, "X and above"], [16, "XXX"]]);
  const box = h("select", { class: "short-box" }, ...choices.map(([value, text]) => h("option", { value }, text)));
  const { element, save } = frame("blur_from", "Blur pictures from", box, ["By the NSFW level of a LoRA. A click on the picture shows it."]);
  box.addEventListener("change", () => void save(Number(box.value)));
  return {
    element,
    show(values) {
      if (!choices.some(([value]) => value === values.blur_from) && ![...box.options].some((option) => option.value === String(values.blur_from))) box.append(h("option", { value: values.blur_from }, `Level ${values.blur_from} and above`));
      put(box, String(values.blur_from));
    },
  };
}

/**
 * @param {"civitai_url"|"civitai_archive_url"} name
 * @param {string} label
 * @param {string} standard
 * @param {string} about
 * @param {string|null} empty what an empty box means: null the standard
 * @returns {Setting}
 */
function address(name, label, standard, about, empty = null) {
  const box = h("input", { type: "url", pattern: "https?://[^\\s?#]+", placeholder: standard, spellcheck: false, autocomplete: "off" });
  const { element, save, refuse } = frame(name, label, box, [about]);
  box.addEventListener("change", () => {
    if (box.validity.valid) void save(box.value.trim() || empty);
    else refuse(`Give the full address, such as ${standard}.`);
  });
  return { element, show: (values) => put(box, values[name] ?? "") };
}

/** Written, never read back: only whether there is one. @returns {Setting} */
function key() {
  const box = h("input", { type: "password", placeholder: "Paste a key", autocomplete: "off", spellcheck: false });
  const set = h("button", { class: "small-button", type: "submit" }, "Set");
  const remove = h("button", { class: "small-button", type: "button" }, "Remove");
  const now = h("span", { class: "key-state" });
  const form = h("form", { class: "key-form" }, box, set, remove, now);
  const { element, save } = frame("civitai_key", "API key", form, ["Needed for some downloads. It is kept in the data folder, readable by you alone, and sent to the address above and nowhere else."]);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (box.value.trim() && (await save(box.value.trim()))) box.value = "";
  });
  remove.addEventListener("click", () => void save(null));
  return {
    element,
    show(values) {
      now.replaceChildren(...(values.civitai_key_set ? [icon("check"), "A key is set"] : ["No key is set"]));
      now.classList.toggle("good", values.civitai_key_set);
      remove.hidden = !values.civitai_key_set;
      box.placeholder = values.civitai_key_set ? "Paste another key" : "Paste a key";
    },
  };
}

/** The template by which files are sorted into folders, with what it would do to some of them. @returns {Setting} */
function organise() {
  const box = h("input", { class: "template-box", spellcheck: false, autocomplete: "off", maxLength: 500 });
  const fields = h("div", { class: "template-fields" });
  const example = h("div", { class: "template-example", role: "status" });
  const control = h("div", null, box, fields, example);
  const { element, save, refuse } = frame("organise_template", "Folder template", control, ["Used when you organise files: choose LoRAs in the library, then Organise. Nothing is moved before you have seen what would happen."]);
  /** @type {Promise<Lora[]>|null} */
  let some = null;
  let turn = 0;
  /** Show what the template would do. @returns {Promise<boolean>} whether it can be used */
  const look = async () => {
    turn += 1;
    const mine = turn;
    try {
      some ??= request("GET", "loras?limit=3&sort=random&seed=7&state=ok").then(({ items }) => items);
      const ids = (await some).map(({ id }) => id);
      const { items } = await request("POST", "files/organise", { body: { selection: { ids }, template: box.value, dry_run: true } });
      if (mine !== turn) return true;
      refuse("");
      example.replaceChildren(...items.map((/** @type {any} */ one) => h("div", null, h("code", { class: "from" }, one.from), icon("right"), h("code", null, one.to ?? one.reason ?? ""))));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 400) some = null;
      if (mine === turn) refuse(error.message);
      return error.status !== 400;
    }
    return true;
  };
  const soon = debounce(() => void look(), 200);
  box.addEventListener("input", soon);
  box.addEventListener("change", async () => {
    soon.cancel();
    if (!box.value.trim() || (await look())) await save(box.value.trim() || null);
  });
  void request("GET", "files/template-fields").then(
    ({ items }) =>
      fields.replaceChildren(
        ...items.map((/** @type {{name: string, meaning: string}} */ { name, meaning }) => {
          const insert = h("button", { class: "word", type: "button", title: meaning, "aria-label": `Insert {${name}}: ${meaning}` }, `{${name}}`);
          insert.addEventListener("mousedown", (event) => event.preventDefault()); // the box keeps its caret
          insert.addEventListener("click", () => {
            box.setRangeText(`{${name}}`, box.selectionStart ?? box.value.length, box.selectionEnd ?? box.value.length, "end");
            box.focus();
            soon();
          });
          return insert;
        }),
      ),
    (error) => {
      if (!(error instanceof ApiError)) throw error; // the names are in the error of a wrong template too
    },
  );
  return {
    element,
    show(values) {
      const before = box.value;
      put(box, values.organise_template);
      if (box.value !== before || !example.childElementCount) void look();
    },
  };
}
