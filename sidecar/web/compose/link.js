// Keeps the draft and the host's prompt boxes the same, both ways, while the page is open and the link is on.
import { bridge } from "../bridge.js";
import { debounce } from "../dom.js";
import { draft } from "./draft.js";

const KEPT = "compose-linked";
const QUIET = 400;

/** What SDNext calls its tabs; the A1111 line calls them as they are called in code. @type {Record<string, string>} */
const SDNEXT = { txt2img: "Text", img2img: "Image", control: "Control", video: "Video" };
export const nameOfTarget = (/** @type {string} */ target) => (bridge.host?.host === "sdnext" ? SDNEXT[target] : null) ?? target;

export const link = {
  on: localStorage.getItem(KEPT) !== "off",
  /** When the draft was last changed here: what the host says right after may be older than that. */
  changedAt: -Infinity,

  set(/** @type {boolean} */ on) {
    this.on = on;
    localStorage.setItem(KEPT, on ? "on" : "off");
    if (on) this.take();
  },

  /** The draft takes what stands in the host's boxes. */
  take() {
    const { host, prompt, negative } = bridge;
    if (!this.on || !host || prompt === null) return;
    if (performance.now() - this.changedAt < QUIET) return later();
    draft.set({ prompt, negative_prompt: negative ?? draft.state.negative_prompt }, { kind: "host", from: "host" });
  },

  /** The host's boxes take the draft. */
  give() {
    this.changedAt = performance.now();
    if (this.on && bridge.host) bridge.write(bridge.host.target, draft.state.prompt, draft.state.negative_prompt);
  },
};

const later = debounce(() => link.take(), QUIET + 50);
