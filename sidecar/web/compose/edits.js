// Changes of a prompt's text, as pure functions. Places are UTF-16 units, as in a text box.

/**
 * @typedef {import("../types.js").PromptTag} Tag
 * @typedef {{start: number, end: number, text: string}} Change
 */

/** Put texts in the places of others. @param {string} text @param {Change[]} changes none overlaps another */
export function applied(text, changes) {
  for (const { start, end, text: put } of [...changes].sort((a, b) => b.start - a.start)) text = text.slice(0, start) + put + text.slice(end);
  return text;
}

/** A weight as people write it. @param {number} weight */
export const written = (weight) => String(Math.round(weight * 1000) / 1000);

/** The text with another weight in a tag, or another range in a draw. @param {string} text @param {Tag} tag @param {number|[number, number]|null} weight null takes it out */
export function withWeight(text, tag, weight) {
  const has = tag.weight_end > tag.weight_start;
  if (weight === null) return has ? applied(text, [{ start: tag.weight_start - 1, end: tag.weight_end, text: "" }]) : text;
  const put = Array.isArray(weight) ? [...new Set(weight.map(written))].join("-") : written(weight);
  return applied(text, [{ start: tag.weight_start, end: tag.weight_end, text: has ? put : `:${put}` }]);
}

/** The text with `key=value` in a tag, in the place of one it has; null takes it out. @param {string} text @param {Tag} tag @param {string} key @param {number|null} value */
export function withNamed(text, tag, key, value) {
  const parts = text.slice(tag.start + 1, tag.end - 1).split(":").filter((part) => !part.startsWith(`${key}=`));
  if (value !== null) parts.push(`${key}=${written(value)}`);
  return applied(text, [{ start: tag.start, end: tag.end, text: `<${parts.join(":")}>` }]);
}

/** The text without a tag, and without the comma or space that would stand twice. @param {string} text @param {Tag} tag */
export function without(text, tag) {
  const before = text.slice(0, tag.start);
  let rest = text.slice(tag.end);
  if (/(^|,)\s*$/.test(before)) rest = rest.replace(/^[ \t,]+/, "");
  else if (/ $/.test(before)) rest = rest.replace(/^ /, "");
  return /^\s*$/.test(rest) ? before.replace(/[ ,]+$/, "") : before + rest;
}

/** The text with a tag where `before` begins, or behind the last of `tags`, or at the end. @param {string} text @param {string} tag @param {Tag|undefined} before @param {Tag[]} tags */
export function inserted(text, tag, before, tags) {
  const last = tags.at(-1);
  if (before) return applied(text, [{ start: before.start, end: before.start, text: tag }]);
  if (last) return applied(text, [{ start: last.end, end: last.end, text: ` ${tag}` }]);
  return text.trim() ? `${text.trimEnd()} ${tag}` : tag;
}

/** A list with one of its things in another place. @template T @param {T[]} list @param {number} from @param {number} to @returns {T[]} */
export function moved(list, from, to) {
  const rest = list.filter((_, at) => at !== from);
  return [...rest.slice(0, to), ...list.slice(from, from + 1), ...rest.slice(to)];
}

/** The text with its tags in another order: the places stay, what stands in them moves. @param {string} text @param {Tag[]} tags @param {number} from @param {number} to */
export function reordered(text, tags, from, to) {
  const texts = moved(tags.map(({ start, end }) => text.slice(start, end)), from, to);
  return applied(text, tags.map(({ start, end }, at) => ({ start, end, text: texts[at] ?? "" })));
}

const escaped = (/** @type {string} */ text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** The text with a word put at its end, or taken out, also with brackets and a weight around it. @param {string} text @param {string} word @param {boolean} wanted */
export function toggled(text, word, wanted) {
  if (wanted) {
    const kept = text.trimEnd();
    return `${kept}${kept === "" ? "" : kept.endsWith(",") ? " " : ", "}${word}`;
  }
  const loose = escaped(word).replace(/(?:\\?[ _])+/g, "[ _]+");
  const part = new RegExp(`(^|,|\\n|>)[ \\t]*[([]*${loose}(?::[-\\d.]+)?[)\\]]*[ \\t]*(?=,|\\n|<|$)`, "i");
  return text.replace(part, "$1").replace(/^[ ,]+/, "").replace(/,[ \t]*,/g, ",").replace(/[ \t]*,[ \t]*$/, "");
}
