// The controls beside the page's title: undo, picture, set, link with the host, and where the prompt goes.
import { copy } from "../actions.js";
import { bridge } from "../bridge.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { openMenu } from "../popup.js";
import { toast } from "../toast.js";
import { draft } from "./draft.js";
import { choosePicture } from "./image.js";
import { link, nameOfTarget } from "./link.js";
import { openSave } from "./save.js";

/** @returns {{element: HTMLElement, draw: () => void}} */
export function tools() {
  const undo = tool("undo", "Undo (Ctrl+Z)", () => draft.undo());
  const redo = tool("redo", "Redo (Ctrl+Shift+Z)", () => draft.redo());
  const clear = tool("trash", "Empty both texts", () => draft.set({ prompt: "", negative_prompt: "", muted: [] }));
  const picture = h("button", { class: "small-button", type: "button", "aria-label": "From an image", title: "The prompt a picture was made with: choose it here, drop it on the page, or paste it" }, icon("image"), h("span", null, "From an image"));
  picture.addEventListener("click", choosePicture);
  const save = h("button", { class: "small-button", type: "button", "aria-label": "Save as set", "aria-haspopup": "dialog", "aria-expanded": "false" }, icon("list"), h("span", null, "Save as set"));
  save.addEventListener("click", () => openSave(save));
  const tied = h("button", { class: "small-button link-button", type: "button" });
  tied.addEventListener("click", () => {
    link.set(!link.on);
    draw();
  });
  const send = h("button", { class: "small-button strong", type: "button" });
  send.addEventListener("click", () => (bridge.host ? sendTo(bridge.host.target) : void copyBoth(send)));
  const more = h("button", { class: "small-button strong more-targets", type: "button", "aria-label": "Send elsewhere", "aria-haspopup": "menu", "aria-expanded": "false" }, icon("down"));
  more.addEventListener("click", () => openMenu(more, "Send to", targets().map((name) => ({ label: nameOfTarget(name), icon: "send", run: () => sendTo(name) }))));

  function draw() {
    const { host } = bridge;
    const { prompt, negative_prompt, muted } = draft.state;
    undo.disabled = !draft.past.length;
    redo.disabled = !draft.future.length;
    clear.disabled = save.disabled = !prompt && !negative_prompt && !muted.length;
    tied.hidden = !host;
    tied.setAttribute("aria-pressed", String(link.on));
    tied.title = link.on ? "The prompt here and in the host are one: a change on either side shows on the other" : "The prompt here is on its own; the host's is not touched before you send it";
    tied.replaceChildren(icon(link.on ? "link" : "unlink"), link.on ? `Linked with ${nameOfTarget(host?.target ?? "")}` : "Not linked");
    send.replaceChildren(icon(host ? "send" : "copy"), host ? `Send to ${nameOfTarget(host.target)}` : "Copy");
    more.hidden = targets().length === 0;
  }
  return { element: h("div", { class: "compose-tools" }, undo, redo, clear, picture, save, tied, h("span", { class: "split" }, send, more)), draw };
}

/** @param {import("../icons.js").IconName} sign @param {string} label @param {() => void} run */
function tool(sign, label, run) {
  return h("button", { class: "icon-button", type: "button", title: label, "aria-label": label.replace(/ \(.*/, ""), onclick: run }, icon(sign));
}

/** The host's tabs besides the one in use. */
const targets = () => (bridge.host?.targets ?? []).filter((name) => name !== bridge.host?.target);

/** Put both texts into a tab of the host, and show it. */
function sendTo(/** @type {string} */ target) {
  const { prompt, negative_prompt } = draft.state;
  bridge.write(target, prompt, negative_prompt);
  bridge.go(target);
  toast(`Sent to ${nameOfTarget(target)}.`);
}

/** Without a host: the prompt into the clipboard; with a negative one, which of them. */
async function copyBoth(/** @type {HTMLElement} */ button) {
  const { prompt, negative_prompt } = draft.state;
  if (!negative_prompt) return copy(prompt);
  return openMenu(button, "Copy", [
    { label: "The prompt", icon: "copy", run: () => void copy(prompt) },
    { label: "The negative prompt", icon: "copy", run: () => void copy(negative_prompt) },
  ]);
}
