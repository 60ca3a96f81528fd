// Still pictures of video previews, made in the page. A grid of <video> elements would hold every connection that the
// browser grants to one server, so only two videos load at a time, and each is let go once its first frame is drawn.
import { previewUrl } from "./api.js";
import { h } from "./dom.js";

/** @typedef {import("./types.js").Lora} Lora */

const AT_ONCE = 2;
const KEPT = 300;
const WIDTH = 384;
const PATIENCE = 10_000;

/** @type {Map<string, Promise<string>>} oldest first */
const stills = new Map();
/** @type {{run: () => Promise<void>, wanted: () => boolean, drop: () => void}[]} */
const queue = [];
let running = 0;

/**
 * The address of a video preview's first frame; empty when it cannot be shown or is not wanted any more.
 * @param {Lora} lora
 * @param {() => boolean} wanted asked before the video is loaded: cards scroll away
 * @returns {Promise<string>}
 */
export function still(lora, wanted) {
  const key = `${lora.id}/${lora.preview?.v}`;
  const kept = stills.get(key);
  if (kept) return kept;
  /** @type {Promise<string>} */
  const made = new Promise((done) => {
    const drop = () => {
      stills.delete(key);
      done("");
    };
    queue.push({ wanted, drop, run: async () => done(await firstFrame(previewUrl(lora, true))) });
  });
  stills.set(key, made);
  const [oldest] = stills.keys();
  if (stills.size > KEPT && oldest !== undefined) {
    void stills.get(oldest)?.then((url) => URL.revokeObjectURL(url));
    stills.delete(oldest);
  }
  next();
  return made;
}

function next() {
  while (running < AT_ONCE) {
    const job = queue.pop(); // what came into view last is looked at now
    if (!job) return;
    if (!job.wanted()) {
      job.drop();
      continue;
    }
    running += 1;
    void job.run().finally(() => {
      running -= 1;
      next();
    });
  }
}

/** @returns {Promise<string>} */
async function firstFrame(/** @type {string} */ address) {
  const video = h("video", { muted: true, playsInline: true, preload: "auto" });
  try {
    await new Promise((done, fail) => {
      video.addEventListener("loadeddata", done);
      video.addEventListener("error", fail);
      setTimeout(fail, PATIENCE);
      video.src = address;
    });
    const canvas = h("canvas", { width: WIDTH, height: Math.round((WIDTH * video.videoHeight) / video.videoWidth) });
    canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((/** @type {(blob: Blob|null) => void} */ done) => canvas.toBlob(done, "image/webp", 0.8));
    return blob ? URL.createObjectURL(blob) : "";
  } catch {
    return ""; // a video that this browser cannot show: the card keeps its letters
  } finally {
    video.removeAttribute("src");
    video.load(); // lets go of the connection
  }
}
