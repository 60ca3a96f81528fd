// The drawer's Inspect tab: what the weights are like, what was trained, and every side file as it is.
import { ApiError, request } from "../api.js";
import { add, h } from "../dom.js";
import { live } from "../events.js";
import { count, plural } from "../format.js";
import { icon } from "../icons.js";
import { query } from "../query.js";
import { partBars } from "./bars.js";
import { headerMetadata, sideFile } from "./raw.js";
import { section, training } from "./sections.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {import("../types.js").Inspection} Inspection */
/** @typedef {import("../types.js").Spread} Spread */

const TAGS = 60;

/** @type {Record<string, string>} */
const NETWORKS = { lora: "LoRA", locon: "LoCon", loha: "LoHa", lokr: "LoKr", dora: "DoRA", ia3: "(IA)³", full: "full difference", glora: "GLoRA", norm: "norms", oft: "OFT" };
/** @type {Record<string, string>} */
const FORMATS = { F16: "fp16", BF16: "bf16", F32: "fp32", F64: "fp64", F8_E4M3: "fp8 e4m3", F8_E5M2: "fp8 e5m2" };

/** The tab's part of the drawer; `show` is called when the tab is to show a LoRA. */
export class InspectTab {
  constructor() {
    this.weights = h("div", { class: "tab-part" });
    this.trained = h("div", { class: "tab-part" });
    this.files = h("div", { class: "tab-part" });
    this.element = h("div", null, this.weights, this.trained, this.files);
    this.id = 0;
    this.stamp = "";
    /** The sidecar is at it: large files take some seconds. */
    this.working = false;
    live.on("lora.inspected", ({ id }) => id === this.id && void this.#inspect(id));
    live.on("task", (task) => {
      if (!this.working || task.kind !== "inspect" || task.state !== "running" || !task.total) return;
      this.#tell(`Reading the weights… ${Math.round((100 * task.done) / task.total)} %`, null);
    });
  }

  show(/** @type {Detail} */ detail) {
    const stamp = JSON.stringify([detail.id, detail.modified, detail.size, detail.state, detail.side_files, detail.training, detail.training_tags.length]);
    if (stamp === this.stamp) return;
    if (this.id !== detail.id) {
      this.working = false;
      this.weights.replaceChildren(h("div", { class: "skeleton lines" }));
    }
    this.stamp = stamp;
    this.id = detail.id;
    this.trained.replaceChildren();
    add(this.trained, [training(detail), cloud(detail)]);
    void this.#inspect(detail.id);
    void this.#readFiles(detail);
  }

  leave() {
    this.stamp = "";
    this.id = 0;
    this.working = false;
  }

  async #inspect(/** @type {number} */ id) {
    try {
      const answer = await request("GET", `loras/${id}/inspect`);
      if (this.id !== id) return;
      this.working = answer.state === "working";
      if (this.working) this.#tell("Reading the weights…", null);
      else if (answer.state === "failed") this.#tell(answer.message, icon(answer.code === "legacy" ? "info" : "warn"));
      else this.weights.replaceChildren(...weights(answer));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.id === id) this.#tell(error.message, icon("warn"));
    }
  }

  #tell(/** @type {string} */ text, /** @type {Node|null} */ sign) {
    this.weights.replaceChildren(section("Weights", h("p", { class: sign ? "file-warning" : "hint", role: "status" }, sign, text)));
  }

  async #readFiles(/** @type {Detail} */ detail) {
    let items = [];
    let failed = "";
    try {
      items = (await request("GET", `loras/${detail.id}/side-files`)).items;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      failed = error.message;
    }
    if (this.id !== detail.id) return;
    const header = headerMetadata(detail);
    const folds = [...items.map(sideFile), ...(header ? [header] : [])];
    const none = folds.length ? null : h("p", { class: "hint" }, "There is no side file, and the header says nothing.");
    this.files.replaceChildren(section("Raw", failed && h("p", { class: "file-warning" }, icon("warn"), failed), ...folds, none));
  }
}

/** One number, or the range with how often each occurs. @returns {HTMLElement} */
function spread(/** @type {Spread} */ { min, max, values }) {
  if (min === null) return h("span", { class: "hint" }, "none");
  const round = (/** @type {number} */ value) => String(Number(value.toPrecision(4)));
  const text = min === max ? round(min) : `${round(min)} – ${round(max ?? min)}`;
  const often = values.slice(0, 12).map(({ value, modules }) => `${round(value)} in ${plural(modules, "module")}`);
  return h("span", { title: often.join("\n") }, text, values.length > 1 ? h("span", { class: "hint" }, ` mostly ${round(values[0]?.value ?? min)}`) : "");
}

/** @returns {HTMLElement[]} */
function weights(/** @type {Inspection} */ found) {
  const formats = Object.entries(found.dtypes).map(([name, tensors]) => `${FORMATS[name] ?? name}${Object.keys(found.dtypes).length > 1 ? ` (${count(tensors)})` : ""}`);
  const facts = [
    ["Network", found.network ? (NETWORKS[found.network] ?? found.network) : "not known"],
    ["Rank", spread(found.rank)],
    ["Alpha", spread(found.alpha)],
    ["Modules", count(found.modules)],
    ["Parameters", count(found.parameters)],
    ["Format", formats.join(", ") || "none"],
  ].flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]);
  const problems = found.problems.map(({ message }) => h("p", { class: "file-warning" }, icon("warn"), h("span", null, message)));
  const parts = [section("Weights", h("dl", { class: "facts" }, ...facts), ...problems)];
  if (found.parts.length) {
    const what = "How much it changes each block: the size (Frobenius norm) of the change at weight 1.";
    parts.push(section("Strength by block", h("p", { class: "hint" }, what), ...found.parts.map(partBars)));
  }
  return parts;
}

/** Training tags, the more frequent the larger; a click finds the LoRAs that were trained with one. @returns {HTMLElement|null} */
function cloud(/** @type {Detail} */ detail) {
  const tags = [...detail.training_tags].sort((a, b) => b.count - a.count).slice(0, TAGS);
  if (!tags.length) return null;
  const most = Math.log(1 + (tags[0]?.count ?? 1));
  const shown = tags.sort((a, b) => a.tag.localeCompare(b.tag)).map(({ tag, count: times }) => {
    const find = h("button", { type: "button", title: `${plural(times, "picture")}. Find LoRAs trained with it`, style: { "--part": (Math.log(1 + times) / most).toFixed(2) } }, tag);
    find.addEventListener("click", () => {
      if (window.matchMedia("(max-width: 720px)").matches) query.setOpen(null); // the drawer would cover what is found
      query.set({ q: `training:"${tag.replaceAll('"', "")}"` });
      query.setPage(null);
    });
    return find;
  });
  const rest = detail.training_tags.length - tags.length;
  return section("Tag cloud", h("div", { class: "cloud" }, ...shown), rest > 0 && h("p", { class: "hint" }, `and ${count(rest)} rarer ones`));
}
