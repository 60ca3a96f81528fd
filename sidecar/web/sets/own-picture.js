// The picture of a set while it is edited: one of its own by file, drop or paste, else what its LoRAs show.
import { request } from "../api.js";
import { attempt } from "../ask.js";
import { h, isTyping } from "../dom.js";
import { icon } from "../icons.js";
import { openMenu } from "../popup.js";
import { toast } from "../toast.js";
import { setPicture } from "./picture.js";

/** @typedef {import("../types.js").LoraSet} LoraSet */
/** @typedef {import("../types.js").SetContent} SetContent */

const FORMS = "image/png,image/jpeg,image/webp,image/gif,image/avif";

export class OwnPicture {
  /**
   * @param {AbortSignal} signal the editor is left
   * @param {(set: LoraSet|null) => void} changed gets the set as it is now, null when it is not saved yet
   */
  constructor(signal, changed) {
    this.changed = changed;
    /** @type {LoraSet|null} null: it is not saved yet */
    this.set = null;
    /** A picture for a set that is not saved yet. @type {Blob|null} */
    this.waiting = null;
    this.frame = h("div", { class: "own-picture-frame" });
    this.button = h("button", { class: "media-change", type: "button", "aria-haspopup": "menu", "aria-expanded": "false" }, icon("image"), h("span", null, "Change"));
    this.element = h("div", { class: "own-picture" }, this.frame, this.button);
    this.button.addEventListener("click", () => this.#menu());
    this.#takeDrops();
    document.addEventListener("paste", (event) => this.#paste(event), { signal });
  }

  /** Show the picture of a set with these LoRAs. */
  show(/** @type {LoraSet|null} */ set, /** @type {SetContent} */ content) {
    this.set = set;
    const looks = { id: 0, preview: false, preview_stamp: null, detected_base_model: null, ...set, ...content };
    this.own = Boolean(set?.preview || this.waiting);
    if (this.waiting) this.frame.replaceChildren(h("div", { class: "set-picture own" }, h("img", { alt: "", src: this.url ?? "" })));
    else this.frame.replaceChildren(setPicture({ ...looks, name: content.name || "New set" }));
    this.button.setAttribute("aria-label", this.own ? "Change the picture" : "Set a picture");
  }

  #menu() {
    /** @type {(import("../popup.js").MenuItem|null)[]} */
    const items = [
      { label: "Choose a file…", icon: "upload", run: () => this.#choose() },
      { label: "Paste from the clipboard", icon: "copy", run: () => void this.#readClipboard() },
    ];
    if (this.own) items.push(null, { label: "Show its LoRAs instead", icon: "trash", run: () => void this.#remove() });
    openMenu(this.button, "Picture", items);
  }

  #choose() {
    const input = h("input", { type: "file", accept: FORMS });
    input.addEventListener("change", () => input.files?.[0] && void this.take(input.files[0]));
    input.click();
  }

  #takeDrops() {
    const { element } = this;
    element.addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      element.classList.add("over");
    });
    element.addEventListener("dragleave", (event) => !(event.relatedTarget instanceof Node && element.contains(event.relatedTarget)) && element.classList.remove("over"));
    element.addEventListener("drop", (event) => {
      element.classList.remove("over");
      const file = event.dataTransfer?.files[0];
      if (!file) return;
      event.preventDefault();
      void this.take(file);
    });
  }

  /** Ctrl+V while a set is edited; text still goes into the box being typed in. */
  #paste(/** @type {ClipboardEvent} */ event) {
    const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    const elsewhere = event.defaultPrevented || document.querySelector("dialog[open], lora-drawer:not([hidden])"); // the drawer takes it
    if (!file || elsewhere || (isTyping(event.target) && event.clipboardData?.types.includes("text/plain"))) return;
    event.preventDefault();
    void this.take(file);
  }

  async #readClipboard() {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((one) => one.startsWith("image/"));
        if (type) return void this.take(await item.getType(type));
      }
      toast("There is no picture in the clipboard.", { kind: "error" });
    } catch {
      toast("The browser did not allow reading the clipboard. Press Ctrl+V instead.", { kind: "error" });
    }
    return undefined;
  }

  /** Make a picture the set's own; with a set that is not saved yet, when it is. */
  async take(/** @type {Blob} */ file) {
    if (!file.type.startsWith("image/")) return toast("A set's picture is a PNG, JPEG, WebP, GIF or AVIF.", { kind: "error" });
    if (!this.set) {
      if (this.url) URL.revokeObjectURL(this.url);
      this.waiting = file;
      this.url = URL.createObjectURL(file);
      this.frame.replaceChildren(h("div", { class: "set-picture own" }, h("img", { alt: "", src: this.url })));
      this.own = true;
      return undefined;
    }
    await this.#send("PUT", file, "Picture set.");
    return undefined;
  }

  /** The set is saved now: send the picture that was waiting. @returns {Promise<LoraSet>} the set as it is then */
  async flush(/** @type {LoraSet} */ set) {
    const file = this.waiting;
    this.waiting = null;
    if (!file) return set;
    return (await attempt(() => request("PUT", `sets/${set.id}/preview`, { body: file }), { failed: "Saved, but the picture was not" })) ?? set;
  }

  async #remove() {
    this.waiting = null;
    if (this.set) await this.#send("DELETE", undefined, "Picture removed.");
    else this.changed(null);
  }

  async #send(/** @type {string} */ method, /** @type {Blob|undefined} */ body, /** @type {string} */ text) {
    const id = this.set?.id;
    this.element.classList.add("working");
    const answer = await attempt(() => request(method, `sets/${id}/preview`, body ? { body } : {}), { failed: "The picture was not changed" });
    this.element.classList.remove("working");
    if (!answer) return;
    toast(text);
    this.changed(answer);
  }
}
