// One LoRA of a set while the set is edited: its weight, and behind "more" its other numbers and which words it brings.
import { ApiError, readLora } from "../api.js";
import { h } from "../dom.js";
import { titleOf, weight as shown } from "../format.js";
import { icon } from "../icons.js";
import { opener, thumb } from "../pages/parts.js";
import { asLora, baseDot } from "./picture.js";

/** @typedef {import("../types.js").SetLora} SetLora */
/** @typedef {"weight"|"te"|"unet"|"in"|"mid"|"out"|"dyn"} NumberName */

const MORE = /** @type {[NumberName, string, string][]} */ ([
  ["te", "Text encoder", "te="],
  ["unet", "UNet", "unet="],
  ["in", "IN blocks", "in="],
  ["mid", "MID block", "mid="],
  ["out", "OUT blocks", "out="],
  ["dyn", "Rank", "dyn="],
]);
let rows = 0;

export class MemberRow {
  /**
   * @param {SetLora} member is changed in place
   * @param {{changed: () => void, remove: (row: MemberRow) => void}} calls
   */
  constructor(member, { changed, remove }) {
    this.member = member;
    this.changed = changed;
    rows += 1;
    const { title } = member;
    const missing = member.state === "missing";
    const panelId = `member-more-${rows}`;
    this.grip = h("button", { class: "grip", type: "button", title: "Drag, or arrow keys", "aria-label": `Move ${title}` }, icon("grip"));
    this.more = h("button", { class: "icon-button", type: "button", title: "Words and other numbers", "aria-label": `More of ${title}`, "aria-expanded": "false", "aria-controls": panelId }, icon("down"));
    const out = h("button", { class: "icon-button", type: "button", title: "Take out of the set", "aria-label": `Take ${title} out` }, icon("close"));
    out.addEventListener("click", () => remove(this));
    this.more.addEventListener("click", () => this.toggle());
    this.brief = h("button", { class: "member-brief", type: "button", onclick: () => this.toggle() });
    this.base = h("span", { class: "member-base" });
    const box = (this.weightBox = this.#box("weight", `Weight of ${title}`, member.usual_weight === null ? "1" : shown(member.usual_weight)));
    box.title = `Empty: ${member.usual_weight === null ? "as the prompt would have it without a number" : `as the LoRA says, ${shown(member.usual_weight)}`}`;
    const about = missing ? h("span", { class: "member-missing" }, icon("warn"), "Not in your library") : this.base;
    this.panel = h("div", { class: "member-more", id: panelId, hidden: true });
    this.element = h(
      "li",
      { class: missing ? "member missing" : "member" },
      h("div", { class: "member-line" }, this.grip, missing ? h("span", { class: "thumb grey" }, icon("gone")) : thumb(asLora(member)), h("div", { class: "member-main" }, missing ? h("strong", null, member.name) : opener(asLora(member), titleOf(asLora(member))), h("div", { class: "member-sub" }, about, this.brief)), box, this.more, out),
      this.panel,
    );
    this.#sayBrief();
  }

  /** Another weight, as if it was typed. */
  weigh(/** @type {number} */ weight) {
    this.weightBox.value = String(weight);
    this.weightBox.dispatchEvent(new Event("input"));
  }

  /** Mark it when the set is for another base model. */
  showBase(/** @type {string|null} */ ofSet) {
    const { base_model: base } = this.member;
    this.base.replaceChildren(baseDot(base), base);
    const other = Boolean(ofSet && base !== "Unknown" && base !== ofSet);
    this.base.classList.toggle("other", other);
    this.base.title = other ? `The set is for ${ofSet}` : "";
  }

  toggle(open = this.panel.hidden) {
    this.panel.hidden = !open;
    this.more.setAttribute("aria-expanded", String(open));
    if (open && !this.panel.childElementCount) this.#fillPanel();
  }

  /** @param {NumberName} name @param {string} label @param {string} placeholder */
  #box(name, label, placeholder) {
    const { member } = this;
    const whole = name === "dyn";
    const box = h("input", { type: "number", class: "member-number", min: whole ? 1 : -100, max: whole ? 100000 : 100, step: whole ? 1 : 0.05, value: member[name] === null ? "" : String(member[name]), placeholder, "aria-label": label, inputMode: whole ? "numeric" : "decimal" });
    box.addEventListener("input", () => {
      const wrong = !box.validity.valid && !box.validity.stepMismatch;
      box.setAttribute("aria-invalid", String(wrong || (whole && box.validity.stepMismatch)));
      if (box.getAttribute("aria-invalid") === "true") return;
      member[name] = box.value === "" ? null : Number(box.value);
      this.#sayBrief();
      this.changed();
    });
    return box;
  }

  /** In a few words what else is said of it. */
  #sayBrief() {
    const { member } = this;
    const numbers = MORE.filter(([name]) => member[name] !== null).map(([name]) => `${name} ${shown(member[name] ?? 0)}`);
    const words = member.words === null ? [] : [member.words.length ? member.words.join(", ") : "no words"];
    this.brief.textContent = [...numbers, ...words].join(" · ");
    this.brief.hidden = !this.brief.textContent;
    this.brief.title = "Change";
  }

  #fillPanel() {
    const numbers = MORE.map(([name, label, code]) => h("label", null, h("span", null, label, " ", h("code", null, code)), this.#box(name, `${label} of ${this.member.title}`, name === "dyn" ? "all" : "weight")));
    this.words = h("div", { class: "member-words" });
    this.panel.append(h("section", null, h("h3", null, "Trigger words"), this.words), h("section", null, h("h3", null, "Other weights"), h("div", { class: "member-numbers" }, ...numbers), h("p", { class: "hint" }, "Empty: the weight counts. IN, MID and OUT are read by SD.Next alone.")));
    void this.#readWords();
  }

  /** The words that the LoRA has are asked for when somebody looks at them. */
  async #readWords() {
    const { lora_id } = this.member;
    /** @type {string[]} */
    this.known = [];
    if (lora_id !== null) {
      this.words?.replaceChildren(h("span", { class: "hint" }, "Reading its words…"));
      try {
        const { word_groups } = await readLora(lora_id);
        this.known = (word_groups ?? []).filter(({ negative }) => !negative).flatMap(({ words }) => words);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error; // its own words can be chosen all the same
      }
    }
    this.#drawWords();
  }

  #drawWords() {
    const { member } = this;
    const known = [...new Set(this.known)];
    const choose = (/** @type {string[]|null} */ words) => {
      member.words = words;
      this.#drawWords();
      this.#sayBrief();
      this.changed();
    };
    const way = (/** @type {boolean} */ own, /** @type {string} */ text) => {
      const button = h("button", { type: "button", role: "radio", "aria-checked": String((member.words !== null) === own) }, text);
      button.addEventListener("click", () => {
        choose(own ? (member.words ?? known) : null);
        const chosen = this.words?.querySelector("[aria-checked='true']");
        if (chosen instanceof HTMLElement) chosen.focus();
      });
      return button;
    };
    const ways = h("div", { class: "segments", role: "radiogroup", "aria-label": `Words of ${member.title}` }, way(false, "As the LoRA says"), way(true, "These"));
    if (member.words === null) {
      const text = known.length ? known.join(", ") : "It has no trigger words that are known.";
      this.words?.replaceChildren(ways, h("p", { class: "hint" }, text));
      return;
    }
    const { words } = member;
    const all = [...known, ...words.filter((word) => !known.includes(word))];
    const chips = all.map((word) => {
      const on = words.includes(word);
      const chip = h("button", { class: on ? "word on" : "word", type: "button", "aria-pressed": String(on) }, on && icon("check"), word);
      chip.addEventListener("click", () => {
        choose(on ? words.filter((one) => one !== word) : all.filter((one) => one === word || words.includes(one)));
        const same = [...(this.words?.querySelectorAll(".word") ?? [])].find((one) => one.textContent === word);
        if (same instanceof HTMLElement) same.focus();
      });
      return chip;
    });
    const box = h("input", { class: "tag-box", placeholder: "Another word", "aria-label": `Another word for ${member.title}`, maxLength: 1000, autocomplete: "off" });
    const take = () => {
      const fresh = box.value.split(",").map((one) => one.trim()).filter((one) => one && !words.includes(one));
      box.value = "";
      if (!fresh.length) return;
      choose([...words, ...fresh]);
      const next = this.words?.querySelector("input");
      if (next instanceof HTMLElement) next.focus();
    };
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== ",") return;
      event.preventDefault();
      take();
    });
    box.addEventListener("blur", () => box.isConnected && setTimeout(() => box.value && box.isConnected && take()));
    this.words?.replaceChildren(ways, h("div", { class: "words small" }, ...chips, box));
  }
}
