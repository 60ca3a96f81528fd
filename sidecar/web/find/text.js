// Filters as text of the query language: what the API has no parameter for, and whole searches to be saved.

/** @typedef {import("../query.js").Filters} Filters */

/** Filters that travel as text, with the field each one is. */
const FIELDS = /** @type {const} */ ({ rating: "rating", network: "type", nsfw: "nsfw" });
/** @type {Record<string, string>} */
const LEVELS = { 0: "unknown", 1: "pg", 2: "pg13", 4: "r", 8: "x", 16: "xxx" };

/** A value as it is written in a query; a quote in it cannot be written, so words around it must do. */
export const quoted = (/** @type {string} */ value) => (/[\s()"]/.test(value) ? `"${value.replaceAll('"', " ").trim()}"` : value);

/** Does this query have an OR that stands outside of parentheses and quotes? */
function hasOpenOr(/** @type {string} */ text) {
  let depth = 0;
  for (const [part] of text.matchAll(/"[^"]*"?|[()]|[^\s()"]+/g)) {
    if (part === "(") depth += 1;
    else if (part === ")") depth -= 1;
    else if (depth === 0 && (part === "OR" || part === "|")) return true;
  }
  return false;
}

/** One of several values: `rating:4`, `(rating:4 OR rating:5)`. */
function anyOf(/** @type {string} */ field, /** @type {string[]} */ values) {
  const each = values.map((value) => `${field}:${quoted(value)}`);
  return each.length > 1 ? `(${each.join(" OR ")})` : (each[0] ?? "");
}

/** The text filters of the rail as terms. */
function terms(/** @type {Filters} */ filters) {
  return Object.entries(FIELDS)
    .map(([list, field]) => {
      const values = filters[/** @type {keyof typeof FIELDS} */ (list)];
      return anyOf(field, list === "nsfw" ? values.map((value) => LEVELS[value] ?? value) : values);
    })
    .filter(Boolean)
    .join(" ");
}

/**
 * The query that goes to the sidecar: the text filters, then what was typed.
 * @param {Filters} filters
 * @returns {{q: string, shift: number}} shift: how many characters of q stand before what was typed
 */
export function sentQuery(filters) {
  const before = terms(filters);
  if (!before || !filters.q) return { q: before || filters.q, shift: before.length };
  const typed = hasOpenOr(filters.q) ? `(${filters.q})` : filters.q;
  return { q: `${before} ${typed}`, shift: before.length + 1 + (typed === filters.q ? 0 : 1) };
}

/** What was typed, out of a query that was sent and came back with a typo mended. */
export function typedPart(/** @type {string} */ sent, /** @type {Filters} */ filters) {
  const { shift } = sentQuery(filters);
  const wrapped = Boolean(terms(filters)) && hasOpenOr(filters.q);
  return sent.slice(shift, wrapped ? -1 : undefined);
}

/**
 * Everything that narrows the list as one query, for saving it.
 * @param {Filters} filters
 * @param {string} collection the name of the collection that is on, "" for none
 */
export function wholeQuery(filters, collection) {
  const parts = [
    filters.q && hasOpenOr(filters.q) ? `(${filters.q})` : filters.q,
    collection && `collection:${quoted(collection)}`,
    filters.favorite && "is:favorite",
    anyOf("base", filters.base_model),
    anyOf("folder", filters.folder),
    anyOf("state", filters.state),
    anyOf("label", filters.label),
    terms(filters),
    ...filters.tag.map((tag) => `tag:${quoted(tag)}`),
    ...filters.not_tag.map((tag) => `-tag:${quoted(tag)}`),
  ];
  return parts.filter(Boolean).join(" ");
}
