// What the user has said of recommendations, on the settings page: a list, with a way to take one back, or all; and what was
// learned from their images.
import { request } from "../api.js";
import { attempt, confirmed } from "../ask.js";
import { h } from "../dom.js";
import { live } from "../events.js";
import { count, plural, when } from "../format.js";
import { icon } from "../icons.js";
import { fill } from "../pages/parts.js";
import { query } from "../query.js";

/**
 * @typedef {{id: number, created: number, verdict: "up"|"down"|"chosen"|"ignored", kind: "prompt"|"similar"|"companion", subject: string, lora_id: number|null, name: string|null, title: string|null}} Entry
 * @typedef {{items: Entry[], total: number, counts: Record<Entry["verdict"], number>, next_cursor: string|null}} Page
 */

const PAGE = 12;
const AT_ONCE = 1000;
const SHOWN = 90;
/** @type {Record<Entry["verdict"], string>} */
const VERDICTS = { up: "Good", down: "Not this", chosen: "Taken", ignored: "Passed over" };
const KINDS = { prompt: "for", similar: "as similar to", companion: "to go with" };

/** @param {AbortSignal} signal the page is left */
export function saidOfSuggestions(signal) {
  const sums = h("p", { class: "hint" });
  const learned = h("p", { class: "hint", hidden: true });
  const list = h("ul", { class: "said-rows" });
  const place = h("div");
  const more = h("button", { class: "small-button", type: "button", hidden: true }, "Show more");
  const reset = h("button", { class: "small-button danger-text", type: "button", hidden: true }, icon("undo"), "Take all of it back");
  let shown = PAGE;
  const draw = async () => {
    await fill(place, () => entries(shown, signal), (/** @type {Page} */ page) => {
      place.replaceChildren(list);
      const parts = Object.entries(page.counts).filter(([, of]) => of).map(([verdict, of]) => `${count(of)} × ${VERDICTS[/** @type {Entry["verdict"]} */ (verdict)].toLowerCase()}`);
      sums.textContent = page.total ? `${parts.join(", ")}. It moves LoRAs up or down in later suggestions, most for prompts with the same words.` : "Nothing yet. What you say of suggestions, and which ones you take, counts in later ones.";
      list.replaceChildren(...page.items.map(row));
      more.hidden = !page.next_cursor;
      reset.hidden = !page.total;
    });
    const { index } = await request("GET", "recommendations/status", { signal });
    learned.hidden = !index.learned;
    if (index.learned) learned.textContent = whatWasLearned(index.learned);
  };
  const again = () => void draw().catch(() => {}); // what failed is told in its place
  more.addEventListener("click", () => ((shown += 3 * PAGE), again()));
  reset.addEventListener("click", async () => {
    const sure = await confirmed({ title: "Take all of it back?", text: ["Suggestions are then as if you had never said anything of them. What was learned from your images stays."], action: "Take it back", danger: true });
    if (sure) await attempt(() => request("DELETE", "recommendations/feedback"), { button: reset, failed: "Not taken back" }).then(again);
  });
  for (const type of ["feedback.changed", "reset"]) live.addEventListener(type, again, { signal });
  again();
  return h("section", { class: "settings-group", "aria-label": "Suggestions" }, h("h2", null, "Suggestions"), h("div", { class: "setting" }, h("h3", null, "What you said of suggestions"), sums, place, h("div", { class: "said-do" }, more, reset), learned));
}

/** The newest so many, which may be more than the API gives at once. @param {number} most @param {AbortSignal} signal @returns {Promise<Page>} */
async function entries(most, signal) {
  /** @type {Page} */
  const page = await request("GET", `recommendations/feedback?limit=${Math.min(most, AT_ONCE)}`, { signal });
  while (page.next_cursor && page.items.length < most) {
    const limit = Math.min(most - page.items.length, AT_ONCE);
    const { items, next_cursor } = await request("GET", `recommendations/feedback?limit=${limit}&cursor=${page.next_cursor}`, { signal });
    page.items.push(...items);
    page.next_cursor = next_cursor;
  }
  return page;
}

function row(/** @type {Entry} */ entry) {
  const title = entry.title || entry.name || "A LoRA that is gone";
  const name = entry.lora_id === null ? h("span", null, title) : h("button", { class: "opener", type: "button", title: `Details of ${title}`, onclick: () => query.setOpen(entry.lora_id) }, title);
  const subject = subjectOf(entry);
  const back = h("button", { class: "icon-button tiny", type: "button", title: "Take it back", "aria-label": `Take back: ${VERDICTS[entry.verdict]}, ${title}` }, icon("undo"));
  back.addEventListener("click", () => void attempt(() => request("DELETE", `recommendations/feedback/${entry.id}`), { button: back, failed: "Not taken back" }));
  return h("li", null, h("span", { class: `said-verdict ${entry.verdict}` }, VERDICTS[entry.verdict]), h("span", { class: "said-main" }, name, subject ? h("span", { class: "hint", title: entry.subject }, ` ${KINDS[entry.kind]} ${subject}`) : null), h("time", { class: "hint" }, when(entry.created)), back);
}

/** A prompt as its beginning; names as a list. */
function subjectOf(/** @type {Entry} */ { subject }) {
  let text = subject;
  if (subject.startsWith("[")) {
    try {
      text = JSON.parse(subject).join(", ");
    } catch {
      // a prompt that begins with a bracket
    }
  }
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

/** @param {{prompts: number, helps: boolean, loss: number, loss_before: number}} learned */
function whatWasLearned({ prompts, helps, loss, loss_before }) {
  const from = `Learned from ${plural(prompts, "prompt")} of your own images: `;
  if (!helps) return `${from}what everybody begins with ranks what you take as well, so that is used.`;
  return `${from}the ones that you took are now held to be ${Math.round(100 * (Math.exp(loss_before - loss) - 1))} % more likely, on prompts that it was not learned from.`;
}
