// What the pages are put together from: small pictures, empty and failed states, lists that go on.
import { ApiError, address, previewUrl } from "../api.js";
import { add, h } from "../dom.js";
import { still } from "../film.js";
import { hue, initials, titleOf } from "../format.js";
import { icon } from "../icons.js";
import { preferences } from "../preferences.js";
import { query } from "../query.js";

/** @typedef {import("../types.js").Lora} Lora */
/** @typedef {import("../dom.js").Child} Child */

/** A LoRA's preview as a small picture; letters when there is none, blurred when it should be. */
export function thumb(/** @type {Lora} */ lora) {
  const degrees = hue(lora.base_model);
  const box = h("span", { class: degrees < 0 ? "thumb grey" : "thumb", style: { "--hue": Math.max(0, degrees) } });
  if (!lora.preview) return add(box, [initials(titleOf(lora))]), box;
  const picture = h("img", { alt: "", loading: "lazy", decoding: "async" });
  picture.addEventListener("error", () => box.replaceChildren(initials(titleOf(lora))));
  if (preferences.blurs(lora)) box.classList.add("blurred");
  if (lora.preview.kind !== "video") picture.src = previewUrl(lora);
  else void still(lora, () => box.isConnected).then((url) => (url ? (picture.src = url) : box.replaceChildren(initials(titleOf(lora)))));
  box.append(picture);
  return box;
}

/** A picture at an address below the page, or letters. */
export function pictureOf(/** @type {string|null} */ path, /** @type {string} */ title) {
  const box = h("span", { class: "thumb grey" });
  if (!path) return add(box, [initials(title)]), box;
  const picture = h("img", { alt: "", loading: "lazy", decoding: "async", src: address(path).href });
  picture.addEventListener("error", () => box.replaceChildren(initials(title)));
  box.append(picture);
  return box;
}

/** A LoRA's title that opens its details beside the page. */
export function opener(/** @type {Lora} */ lora, text = titleOf(lora)) {
  return h("button", { class: "opener", type: "button", title: `Details of ${text}`, onclick: () => query.setOpen(lora.id) }, text);
}

/** What stands where there is nothing to list. @param {import("../icons.js").IconName} sign @param {string} title @param {Child[]} text */
export function nothing(sign, title, text) {
  const words = h("p", null);
  add(words, text);
  return h("div", { class: "nothing" }, icon(sign), h("h2", null, title), words);
}

/** Why something did not arrive, with another try. */
export function trouble(/** @type {string} */ message, /** @type {() => void} */ again) {
  return h("div", { class: "nothing", role: "alert" }, icon("warn"), h("h2", null, "This did not arrive"), h("p", null, message), h("button", { class: "small-button", type: "button", onclick: again }, icon("refresh"), "Try again"));
}

/**
 * Ask the sidecar for what a place shows; a failure takes the place, with another try.
 * @template T
 * @param {HTMLElement} place
 * @param {() => Promise<T>} ask
 * @param {(answer: T) => void} show
 */
export async function fill(place, ask, show) {
  try {
    show(await ask());
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    place.replaceChildren(trouble(error.message, () => void fill(place, ask, show)));
  }
}

/** What stands between backticks as code. */
export function marked(/** @type {string} */ text) {
  return text.split("`").map((part, at) => (at % 2 ? h("code", null, part) : part));
}
