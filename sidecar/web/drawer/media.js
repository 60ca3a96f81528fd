// The picture at the top of the drawer: shown, blurred when it should be, and set by file, drop, paste, address, Civitai.
import { ApiError, previewUrl, request } from "../api.js";
import { attempt, openDialog } from "../ask.js";
import { h, isTyping } from "../dom.js";
import { titleOf } from "../format.js";
import { icon } from "../icons.js";
import { library } from "../library.js";
import { openMenu } from "../popup.js";
import { preferences } from "../preferences.js";
import { toast } from "../toast.js";
import { offerUndo } from "../undo.js";

/** @typedef {import("../types.js").Lora} Lora */

const FORMS = "image/png,image/jpeg,image/webp,image/gif,image/avif,video/mp4,video/webm";
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const takes = (/** @type {File} */ file) => /^(image|video)\//.test(file.type);

export class Media {
  /** @param {() => void} changed the preview is another one now */
  constructor(changed) {
    this.changed = changed;
    /** @type {Lora|null} */
    this.lora = null;
    this.shown = "";
    /** @type {Set<number>} blurred ones that the user asked to see */
    this.seen = new Set();
    this.frame = h("div", { class: "media-frame" });
    this.change = h("button", { class: "media-change", type: "button", "aria-haspopup": "menu", "aria-expanded": "false", title: "Change the preview" }, icon("image"), h("span", null, "Change"));
    this.element = h("div", { class: "drawer-media" }, this.frame, this.change);
    this.change.addEventListener("click", () => this.#menu());
    this.#takeDrops();
    preferences.on("change", () => this.lora && this.update(this.lora));
    document.addEventListener("paste", (event) => this.#paste(event));
  }

  update(/** @type {Lora} */ lora) {
    this.lora = lora;
    const blurred = preferences.blurs(lora) && !this.seen.has(lora.id);
    const key = `${lora.id}/${lora.preview?.v ?? ""}/${lora.preview?.kind ?? ""}/${blurred}`;
    this.element.classList.toggle("blurred", blurred && Boolean(lora.preview));
    this.element.classList.toggle("empty", !lora.preview);
    this.change.setAttribute("aria-label", lora.preview ? "Change the preview" : "Set a preview");
    if (key === this.shown) return;
    this.shown = key;
    this.clear();
    this.shown = key;
    const title = titleOf(lora);
    if (!lora.preview) this.frame.append(this.#empty());
    else if (lora.preview.kind === "video") this.frame.append(this.#film(lora, title, blurred));
    else this.frame.append(this.#picture(lora, title, blurred));
    if (blurred && lora.preview) this.frame.append(this.#veil(lora));
  }

  /** Let go of the picture, and of a film's connection. */
  clear() {
    for (const film of this.frame.querySelectorAll("video")) {
      film.removeAttribute("src");
      film.load();
    }
    this.frame.replaceChildren();
    this.shown = "";
  }

  #empty() {
    const choose = h("button", { class: "media-drop", type: "button" }, icon("upload"), h("span", null, "Drop, paste or choose a preview"));
    choose.addEventListener("click", () => this.#choose());
    return choose;
  }

  #film(/** @type {Lora} */ lora, /** @type {string} */ title, /** @type {boolean} */ blurred) {
    const film = h("video", { controls: !blurred, muted: true, loop: true, playsInline: true, preload: "metadata", autoplay: !calm.matches && !blurred, "aria-label": `Preview of ${title}` });
    film.src = previewUrl(lora, true);
    return film;
  }

  /** A still first; an animated picture then plays, unless the user wants less motion. */
  #picture(/** @type {Lora} */ lora, /** @type {string} */ title, /** @type {boolean} */ blurred) {
    const picture = h("img", { alt: `Preview of ${title}`, decoding: "async", src: previewUrl(lora) });
    if (blurred) return picture;
    if (lora.preview?.kind === "animated" && !calm.matches) picture.addEventListener("load", () => (picture.src = previewUrl(lora, true)), { once: true });
    return h("a", { href: previewUrl(lora, true), target: "_blank", rel: "noopener", title: "Open the full picture" }, picture);
  }

  #veil(/** @type {Lora} */ lora) {
    const show = h("button", { class: "media-veil", type: "button" }, icon("hide"), h("span", null, "Blurred by its NSFW level. Show"));
    show.addEventListener("click", () => {
      this.seen.add(lora.id);
      this.update(lora);
    });
    return show;
  }

  #menu() {
    const { lora } = this;
    if (!lora) return;
    /** @type {(import("../popup.js").MenuItem|null)[]} */
    const items = [
      { label: "Choose a file…", icon: "upload", run: () => this.#choose() },
      { label: "Paste from the clipboard", icon: "copy", run: () => void this.#readClipboard() },
      { label: "From an address…", icon: "link", run: () => this.#askAddress() },
      { label: "From Civitai", icon: "cloud", run: () => void this.#send("POST", { civitai: true }, "Preview taken from Civitai.") },
    ];
    if (lora.preview) items.push(null, { label: "Remove", icon: "trash", danger: true, run: () => void this.#send("DELETE", undefined, "Preview removed.") });
    openMenu(this.change, "Preview", items);
  }

  #choose() {
    const input = h("input", { type: "file", accept: FORMS });
    input.addEventListener("change", () => input.files?.[0] && void this.upload(input.files[0]));
    input.click();
  }

  #takeDrops() {
    const { element } = this;
    const over = (/** @type {DragEvent} */ event) => {
      if (![...(event.dataTransfer?.items ?? [])].some((item) => item.kind === "file")) return;
      event.preventDefault();
      element.classList.add("over");
    };
    element.addEventListener("dragenter", over);
    element.addEventListener("dragover", over);
    element.addEventListener("dragleave", (event) => !(event.relatedTarget instanceof Node && element.contains(event.relatedTarget)) && element.classList.remove("over"));
    element.addEventListener("drop", (event) => {
      element.classList.remove("over");
      const file = event.dataTransfer?.files[0];
      if (!file) return;
      event.preventDefault();
      void this.upload(file);
    });
  }

  /** Ctrl+V while the drawer is open; text still goes into the box being typed in. */
  #paste(/** @type {ClipboardEvent} */ event) {
    const file = [...(event.clipboardData?.files ?? [])].find(takes);
    if (!file || !this.lora || !this.element.isConnected || document.querySelector("dialog[open]")) return;
    if (isTyping(event.target) && event.clipboardData?.types.includes("text/plain")) return;
    event.preventDefault();
    void this.upload(file);
  }

  async #readClipboard() {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((one) => one.startsWith("image/"));
        if (type) return void this.upload(await item.getType(type));
      }
      toast("There is no picture in the clipboard.", { kind: "error" });
    } catch {
      toast("The browser did not allow reading the clipboard. Press Ctrl+V instead.", { kind: "error" });
    }
    return undefined;
  }

  #askAddress() {
    const box = h("input", { type: "url", required: true, placeholder: "https://…", "aria-label": "Address of a picture or video", autocomplete: "off", spellcheck: false, pattern: "https?://.+" });
    const note = h("p", { class: "form-note", role: "alert" });
    const fetchIt = h("button", { class: "small-button strong", type: "submit" }, icon("download"), "Fetch");
    const form = h("form", { class: "line-form" }, box, fetchIt, note);
    const dialog = openDialog("Preview from an address", [h("p", { class: "hint" }, "LoRA Manager fetches the picture or video once and keeps it beside the file."), form]);
    box.focus();
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      note.textContent = "";
      fetchIt.disabled = true;
      try {
        this.#done(await request("POST", `loras/${this.lora?.id}/preview`, { body: { url: box.value.trim() } }), "Preview fetched.");
        dialog.close();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        note.textContent = error.message;
        box.select();
      } finally {
        fetchIt.disabled = false;
      }
    });
  }

  /** Set a file of the user's as the preview. */
  async upload(/** @type {Blob} */ file) {
    if (!/^(image|video)\//.test(file.type)) return toast("A preview is a picture or a video (PNG, JPEG, WebP, GIF, AVIF, MP4, WebM).", { kind: "error" });
    await this.#send("PUT", file, "Preview set.");
    return undefined;
  }

  /** Set a picture of a generation, by its place among that generation's pictures. */
  async fromGeneration(/** @type {number} */ generation, /** @type {number} */ image) {
    await this.#send("POST", { generation, image }, "Preview taken from the generation.");
  }

  /** Set the picture at an address, such as that of an example. */
  async fromAddress(/** @type {string} */ url) {
    await this.#send("POST", { url }, "Preview fetched.");
  }

  async #send(/** @type {string} */ method, /** @type {unknown} */ body, /** @type {string} */ text) {
    const id = this.lora?.id;
    if (id === undefined) return;
    this.element.classList.add("working");
    await attempt(async () => this.#done(await request(method, `loras/${id}/preview`, { body }), text, id), { failed: "The preview was not changed" });
    this.element.classList.remove("working");
  }

  #done(/** @type {any} */ answer, /** @type {string} */ text, id = this.lora?.id) {
    if (id !== undefined && "preview" in answer) library.patch(id, { preview: answer.preview });
    if (this.lora && this.lora.id === id && "preview" in answer) {
      this.lora.preview = answer.preview;
      this.update(this.lora);
    }
    this.changed();
    offerUndo(answer, text);
  }
}
