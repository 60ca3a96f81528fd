// Sets as files: one set saved as JSON, with its picture, and read again here or elsewhere. LoRAs are named by their files.
import { address, request } from "../api.js";
import { attempt } from "../ask.js";
import { h } from "../dom.js";
import { plural } from "../format.js";
import { query } from "../query.js";
import { toast } from "../toast.js";
import { freeName, contentOf } from "./actions.js";
import { missingIn } from "./picture.js";

/** @typedef {import("../types.js").LoraSet} LoraSet */

const FORM = "lora-manager-set";
const MOST_BYTES = 16_000_000;
const NUMBERS = ["weight", "te", "unet", "in", "mid", "out", "dyn"];

/** Save a set as a file of the user's. */
export async function exportSet(/** @type {LoraSet} */ set) {
  const picture = set.preview ? await attempt(() => readPicture(set), { failed: "Exported without its picture" }) : undefined;
  const { loras, ...content } = contentOf(set);
  const members = /** @type {Record<string, unknown>[]} */ (loras).map((member) => Object.fromEntries(Object.entries(member).filter(([name, value]) => name !== "lora_id" && value !== null)));
  const file = { form: FORM, version: 1, ...content, loras: members, ...(picture ? { picture } : {}) };
  const url = URL.createObjectURL(new Blob([JSON.stringify(file, null, 2)], { type: "application/json" }));
  h("a", { href: url, download: `${set.name.replace(/[\\/:*?"<>|]/g, "_")}.set.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** @returns {Promise<string>} as a data address */
async function readPicture(/** @type {LoraSet} */ set) {
  const answer = await fetch(address(`api/v1/sets/${set.id}/preview?v=${set.preview_stamp ?? ""}`), { credentials: "same-origin" });
  const blob = await answer.blob();
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(String(reader.result)));
    reader.addEventListener("error", () => failed(reader.error));
    reader.readAsDataURL(blob);
  });
}

/** Let the user choose files, and make sets of them. */
export function chooseImport() {
  const input = h("input", { type: "file", accept: ".json,application/json", multiple: true });
  input.addEventListener("change", () => void importFiles([...(input.files ?? [])]));
  input.click();
}

/** Make sets of files; one leads to its page, several are told. */
export async function importFiles(/** @type {File[]} */ files) {
  /** @type {LoraSet[]} */
  const made = [];
  for (const file of files) {
    const set = await attempt(() => importFile(file), { failed: file.name });
    if (set) made.push(set);
  }
  const [first] = made;
  if (!first) return;
  const missing = made.reduce((sum, set) => sum + missingIn(set).length, 0);
  const gone = missing ? ` ${plural(missing, "LoRA")} in ${made.length === 1 ? "it" : "them"} ${missing === 1 ? "is" : "are"} not in your library.` : "";
  toast(`${made.length === 1 ? `Imported ${first.name}.` : `Imported ${made.length} sets.`}${gone}`);
  if (made.length === 1) query.setPage(`sets/${first.id}`);
}

/** @returns {Promise<LoraSet|undefined>} undefined: the file is none, which was told */
async function importFile(/** @type {File} */ file) {
  const told = file.size > MOST_BYTES ? null : read(await file.text());
  if (!told) return toast(`${file.name} is not a set that LoRA Manager has saved.`, { kind: "error" }), undefined;
  const { picture, ...content } = told;
  /** @type {LoraSet} */
  const set = await request("POST", "sets", { body: { ...content, name: await freeName(content.name) } });
  return (picture && (await attempt(() => request("PUT", `sets/${set.id}/preview`, { body: picture }), { failed: "Imported without its picture" }))) || set;
}

/** What a file says that a set can take over; null when it is no set. */
function read(/** @type {string} */ text) {
  let told;
  try {
    told = JSON.parse(text);
  } catch {
    return null;
  }
  if (!told || typeof told !== "object" || told.form !== FORM || typeof told.name !== "string" || !Array.isArray(told.loras)) return null;
  const line = (/** @type {unknown} */ value) => (typeof value === "string" ? value : "");
  const loras = told.loras
    .filter((/** @type {any} */ one) => typeof one?.name === "string")
    .map((/** @type {any} */ one) => ({
      name: one.name,
      ...Object.fromEntries(NUMBERS.filter((name) => Number.isFinite(one[name])).map((name) => [name, one[name]])),
      words: Array.isArray(one.words) ? one.words.filter((/** @type {unknown} */ word) => typeof word === "string") : null,
    }));
  return { name: told.name, loras, prompt: line(told.prompt), negative_prompt: line(told.negative_prompt), notes: line(told.notes), base_model: line(told.base_model) || null, picture: blobOf(told.picture) };
}

/** The picture of a data address; null when it is none. */
function blobOf(/** @type {unknown} */ url) {
  const parts = typeof url === "string" ? /^data:(image\/[\w.+-]+);base64,([\w+/=]+)$/.exec(url) : null;
  if (!parts?.[1] || !parts[2]) return null;
  try {
    return new Blob([Uint8Array.from(atob(parts[2]), (letter) => letter.charCodeAt(0))], { type: parts[1] });
  } catch {
    return null;
  }
}
