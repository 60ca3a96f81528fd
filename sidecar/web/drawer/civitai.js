// The drawer's Civitai tab: what Civitai said of this file, when it was asked, and newer versions. Asks only on a click.
import { ApiError, request } from "../api.js";
import { attempt } from "../ask.js";
import { newerRow, published } from "../civitai/versions.js";
import { h } from "../dom.js";
import { live } from "../events.js";
import { ago } from "../format.js";
import { icon } from "../icons.js";
import { whenDone } from "../tasks.js";
import { toast } from "../toast.js";
import { outside, section } from "./sections.js";

/** @typedef {import("../types.js").Detail} Detail */
/** @typedef {import("../types.js").CivitaiAnswer} Answer */

export class CivitaiTab {
  constructor() {
    this.element = h("div", { class: "tab-part" });
    /** @type {Detail|null} */
    this.detail = null;
    this.stamp = "";
    live.on("civitai.updates", () => this.detail && void this.#load(this.detail));
  }

  show(/** @type {Detail} */ detail) {
    const stamp = JSON.stringify([detail.id, detail.hashes["sha256"], detail.state, detail.sources]);
    if (stamp === this.stamp) return;
    if (this.detail?.id !== detail.id) this.element.replaceChildren(h("div", { class: "skeleton lines" }));
    this.stamp = stamp;
    this.detail = detail;
    void this.#load(detail);
  }

  leave() {
    this.stamp = "";
    this.detail = null;
  }

  async #load(/** @type {Detail} */ detail) {
    try {
      const answer = /** @type {Answer} */ (await request("GET", `loras/${detail.id}/civitai`));
      if (this.detail?.id === detail.id) this.element.replaceChildren(...this.#draw(detail, answer));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.detail?.id === detail.id) this.element.replaceChildren(section("Civitai", h("p", { class: "file-warning" }, icon("warn"), error.message)));
    }
  }

  #draw(/** @type {Detail} */ detail, /** @type {Answer} */ answer) {
    const { state, version, model } = answer;
    const asked = answer.fetched ? `Asked ${ago(answer.fetched)}${answer.source === "archive" ? ", found in the archive" : ""}.` : "";
    const ask = h("button", { class: "small-button", type: "button", disabled: detail.state !== "ok" }, icon("cloud"), state === "unknown" ? "Look up" : "Look up again");
    ask.addEventListener("click", () => void this.#ask(detail, ask));
    const check = h("button", { class: "small-button", type: "button" }, icon("refresh"), "Check for newer versions");
    check.addEventListener("click", () => void this.#check(detail, check));
    const buttons = h("div", { class: "file-actions" }, ask, model && check);
    if (state === "not_found" && !model) return [section("Civitai", h("p", null, "Civitai does not know this file."), h("p", { class: "hint" }, `${asked} Files that were changed after the download, or made elsewhere, are not known.`), buttons)];
    if (!model) return [section("Civitai", h("p", { class: "hint" }, "Not looked up yet. Its SHA256 is sent to Civitai, nothing else."), buttons)];
    const facts = [
      ["Model", h("span", null, model.name ?? "Unnamed", " ", outside(model.url, "Open"))],
      ["Author", model.author],
      ["Version", version?.name],
      ["Base model", version?.base_model],
      ["Published", version && published(version)],
    ].filter(([, value]) => value);
    const parts = [section("Civitai", h("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)])), h("p", { class: "hint civitai-asked" }, asked || "Known from its side file."), buttons)];
    if (answer.newer.length) {
      const rows = answer.newer.map((one) => newerRow(one, model, version?.base_model ?? "", () => void this.#load(detail)));
      parts.push(section("Newer versions", ...rows));
    }
    return parts;
  }

  async #ask(/** @type {Detail} */ detail, /** @type {HTMLButtonElement} */ button) {
    await attempt(
      async () => {
        const { task } = await request("POST", "civitai/lookup", { body: { selection: { ids: [detail.id] }, again: true } });
        const result = await whenDone(task);
        if (!result) return;
        toast(result.found ? "Found on Civitai." : result.skipped ? "Its hash is not known yet; try again in a moment." : "Civitai does not know this file.");
        this.element.dispatchEvent(new CustomEvent("reread", { bubbles: true }));
        await this.#load(detail);
      },
      { button, failed: "Not looked up" },
    );
  }

  async #check(/** @type {Detail} */ detail, /** @type {HTMLButtonElement} */ button) {
    await attempt(
      async () => {
        const { task } = await request("POST", "civitai/updates/check", { body: { selection: { ids: [detail.id] } } });
        if (!(await whenDone(task))) return;
        await this.#load(detail);
        if (!this.element.querySelector(".version")) toast("There is no newer version.");
      },
      { button, failed: "Not checked" },
    );
  }
}
