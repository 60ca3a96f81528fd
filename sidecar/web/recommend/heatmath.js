// Interference in numbers, as pure functions: what the sidecar measured at weight 1 is weighed here, so that a slider needs no
// new measuring: ⟨wᵢ·ΔWᵢ, wⱼ·ΔWⱼ⟩ = wᵢ·wⱼ·⟨ΔWᵢ, ΔWⱼ⟩, block by block.

/**
 * @typedef {object} Stacked a LoRA as it is stacked with others
 * @property {number} id
 * @property {string} name as the host knows it
 * @property {string} title
 * @property {number|null} weight what its slider says; null: it has none here, as it comes with a set or a draw
 * @property {number} usual the weight it is meant to have
 * @property {number} te in effect in the text encoders
 * @property {number[]} unet in effect in the blocks IN, MID and OUT
 * @property {string} note what is not taken into account
 *
 * @typedef {{name: string, part: string, norms: number[], cosines: (number|null)[][]}} Block
 * @typedef {{loras: {id: number, name: string}[], architecture: string, blocks: Block[], notes: string[]}} Answer
 *
 * @typedef {object} Column a block, or several as one
 * @property {string} name
 * @property {string} short what stands above it
 * @property {string} group
 * @property {number[][]} gram weighted inner products of all pairs
 *
 * @typedef {object} PairOf two LoRAs, by their places
 * @property {number[]} both
 * @property {number|null} cosine over all blocks; null: one of them changes nothing
 * @property {number} pull the mean of |cosine| over the blocks, weighed by what both change there, 0 to 1
 * @property {string} where the group of blocks in which they meet most
 *
 * @typedef {object} Meeting LoRAs, by their places, that meet the one among them that changes most
 * @property {number} first
 * @property {number[]} same those that push the same way as it does, the most alike first
 * @property {number[]} cosines theirs with it
 * @property {number[]} against and those that push against it
 * @property {number} cosine the largest of theirs with it, without sign
 * @property {number} acts along its direction all of them act like it alone with so many times its weight
 * @property {string} where the group of blocks in which they meet most
 */

/** Which group a block belongs to, in the field's words. @param {{name: string, part: string}} block */
export function groupOf({ name, part }) {
  if (part.startsWith("text encoder")) return `T${part.slice(1)}`;
  if (part === "unet") return /^(IN|MID|OUT)/.exec(name)?.[0] ?? "Other";
  const kind = name.replace(/ ?\d+$/, "");
  return kind === "other" ? "Other" : `${kind.charAt(0).toUpperCase()}${kind.slice(1)} blocks`;
}

/** The weight with which a LoRA acts in a group of blocks. @param {Stacked} lora @param {string} group */
export function weightIn({ te, unet }, group) {
  if (group.startsWith("Text encoder")) return te;
  return unet[{ MID: 1, OUT: 2 }[group] ?? 0] ?? 0;
}

/** The blocks with the weights of now. @param {Block[]} blocks measured at weight 1 @param {Stacked[]} loras in the order of the blocks @returns {Column[]} */
export function weighed(blocks, loras) {
  return blocks.map((block) => {
    const group = groupOf(block);
    const weights = loras.map((lora) => weightIn(lora, group));
    const sizes = block.norms.map((norm, at) => norm * (weights[at] ?? 0));
    const gram = block.cosines.map((row, one) => row.map((cosine, other) => (cosine ?? 0) * (sizes[one] ?? 0) * (sizes[other] ?? 0)));
    return { name: block.name, short: block.name.replace(/^\D+/, "") || block.name, group, gram };
  });
}

/** Several columns as one. @param {Column[]} columns @param {string} name @returns {Column} */
export function together(columns, name) {
  const [first] = columns;
  const gram = (first?.gram ?? []).map((row, one) => row.map((_, other) => columns.reduce((sum, column) => sum + at(column.gram, one, other), 0)));
  return { name, short: "", group: first?.group ?? "", gram };
}

/** @param {number[][]} gram @param {number} one @param {number} other */
const at = (gram, one, other) => gram[one]?.[other] ?? 0;

/** How much one LoRA changes in a column. @param {Column} column @param {number} one */
export const sizeIn = ({ gram }, one) => Math.sqrt(Math.max(0, at(gram, one, one)));

/** The cosine of two LoRAs in a column; null where one of them changes nothing. @param {Column} column @param {number} one @param {number} other */
export function cosineIn(column, one, other) {
  const sizes = sizeIn(column, one) * sizeIn(column, other);
  return sizes > 0 ? Math.max(-1, Math.min(1, at(column.gram, one, other) / sizes)) : null;
}

/** Which part of what two LoRAs change together happens in a column. @param {Column[]} columns all of them @param {Column} column @param {number} one @param {number} other */
export function shareOf(columns, column, one, other) {
  const whole = columns.reduce((sum, each) => sum + sizeIn(each, one) * sizeIn(each, other), 0);
  return whole > 0 ? (sizeIn(column, one) * sizeIn(column, other)) / whole : 0;
}

/** As the sidecar defines it: Σ|⟨ΔWᵢ, ΔWⱼ⟩| / Σ‖ΔWᵢ‖‖ΔWⱼ‖ over blocks and pairs. @param {Column[]} columns @param {number[][]} pairs */
export function pullOf(columns, pairs) {
  let shared = 0;
  let possible = 0;
  for (const column of columns) {
    for (const [one = 0, other = 0] of pairs) {
      shared += Math.abs(at(column.gram, one, other));
      possible += sizeIn(column, one) * sizeIn(column, other);
    }
  }
  return possible > 0 ? Math.min(1, shared / possible) : 0;
}

/** @param {number} count @returns {number[][]} places, each pair once */
export const pairsOf = (count) => Array.from({ length: count }, (_, one) => Array.from({ length: count - one - 1 }, (__, more) => [one, one + 1 + more])).flat();

/** Two LoRAs. @param {Column[]} columns @param {Column} all as one @param {number} one @param {number} other @returns {PairOf} */
function pairOf(columns, all, one, other) {
  return { both: [one, other], cosine: cosineIn(all, one, other), pull: pullOf(columns, [[one, other]]), where: whereOf(columns, one, [other]) };
}

/** The group of blocks in which one LoRA meets others most. @param {Column[]} columns @param {number} one @param {number[]} others */
function whereOf(columns, one, others) {
  /** @type {Map<string, number>} */
  const groups = new Map();
  for (const { group, gram } of columns) groups.set(group, (groups.get(group) ?? 0) + others.reduce((sum, other) => sum + at(gram, one, other), 0));
  return [...groups].sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]))[0]?.[0] ?? "";
}

/** Who meets whom, each LoRA once, as lint looks at it: from the one that changes most. @param {Column[]} columns @param {number} count how many LoRAs @param {number} least cosine that counts @returns {Meeting[]} */
export function meetingsOf(columns, count, least) {
  const all = together(columns, "All blocks");
  let left = [...Array(count).keys()].filter((one) => sizeIn(all, one) > 0).sort((a, b) => sizeIn(all, b) - sizeIn(all, a));
  const found = [];
  while (left.length > 1) {
    const [first = 0, ...others] = left;
    const cosine = (/** @type {number} */ other) => cosineIn(all, first, other) ?? 0;
    const same = others.filter((other) => cosine(other) >= least).sort((a, b) => cosine(b) - cosine(a));
    const against = others.filter((other) => cosine(other) <= -least);
    const told = [...same, ...against];
    const acts = 1 + told.reduce((sum, other) => sum + at(all.gram, first, other), 0) / at(all.gram, first, first);
    if (told.length) found.push({ first, same, cosines: same.map(cosine), against, acts, cosine: Math.max(...told.map((other) => Math.abs(cosine(other)))), where: whereOf(columns, first, told) });
    left = others.filter((other) => !told.includes(other));
  }
  return found;
}

/** All pairs, those that pull most first. @param {Column[]} columns @param {number} count how many LoRAs @returns {PairOf[]} */
export function rankedPairs(columns, count) {
  const all = together(columns, "All blocks");
  const pairs = pairsOf(count).map(([one = 0, other = 0]) => pairOf(columns, all, one, other));
  return pairs.sort((a, b) => b.pull - a.pull);
}
