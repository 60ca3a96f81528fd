// Numbers, sizes, dates and names as text for the page.

const whole = new Intl.NumberFormat("en-US");
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** 12345 → "12,345" */
export const count = (/** @type {number} */ n) => whole.format(n);

/** "1 LoRA", "2,000 LoRAs" */
export const plural = (/** @type {number} */ n, /** @type {string} */ one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Bytes as "217 MB" (powers of ten, as file managers show them). */
export function bytes(/** @type {number} */ n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit += 1;
  }
  return `${n >= 100 || unit === 0 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

/** Epoch seconds as local date and time. */
export const when = (/** @type {number} */ seconds) => date.format(new Date(seconds * 1000));

/** Epoch seconds as how long ago: "just now", "5 min ago"; after a day the date. */
export function ago(/** @type {number} */ seconds) {
  const minutes = Math.floor((Date.now() / 1000 - seconds) / 60);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  return minutes < 1440 ? `${Math.floor(minutes / 60)} h ago` : when(seconds);
}

/** A weight without needless digits: 0.8, 1, -0.25. */
export const weight = (/** @type {number} */ n) => String(Math.round(n * 100) / 100);

/** What a card and the drawer call a LoRA. */
export const titleOf = (/** @type {import("./types.js").Lora} */ lora) => lora.title || lora.name;

/** The tag that goes into a prompt. */
export const tagOf = (/** @type {import("./types.js").Lora} */ lora) => `<lora:${lora.name}:${weight(lora.weight ?? 1)}>`;

/** Two letters to stand in for a missing preview. */
export function initials(/** @type {string} */ text) {
  const words = text.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const letters = words.length > 1 ? words.slice(0, 2).map((word) => [...word][0]) : [...(words[0] ?? "?")].slice(0, 2);
  return letters.join("").toUpperCase();
}

/** "ss_network_dim" → "network dim" */
export const words = (/** @type {string} */ key) => key.replace(/^ss_/, "").replaceAll("_", " ");

/** @type {Record<string, string>} */
const SOURCES = {
  user: "You",
  a1111: ".json",
  manager: ".metadata.json",
  civitai: "Civitai",
  info: ".civitai.info",
  sdnext: "SDNext .json",
  ssmd: "ssmd header",
  modelspec: "modelspec header",
  kohya: "training header",
  header: "header",
  metadata: "header",
  text: "text file",
  tensors: "tensor names",
  name: "file name",
};

/** Where a value comes from, in a word or two. */
export const sourceName = (/** @type {string} */ source) => SOURCES[source] ?? source;

/** @type {Record<string, number>} hue in degrees; a family keeps its colour everywhere */
const HUES = { "sd 1": 145, "sd 2": 95, "sd 3": 190, sdxl: 215, pony: 330, illustrious: 270, noob: 295, flux: 35, unknown: -1 };

/** The hue of a base model's dot, or -1 for grey. */
export function hue(/** @type {string} */ base) {
  const lower = base.toLowerCase();
  for (const [start, degrees] of Object.entries(HUES)) if (lower.startsWith(start)) return degrees;
  let sum = 0;
  for (const letter of lower) sum = (sum * 31 + letter.charCodeAt(0)) % 360;
  return sum;
}
