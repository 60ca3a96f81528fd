// The points of the map as the sidecar packs them, and an index of which lie where.

/**
 * @typedef {object} MapState
 * @property {boolean} building
 * @property {number|null} part of the work that is done, 0 to 1
 * @property {"words"|"embeddings"|"weights"|null} source
 * @property {string|null} model
 * @property {number|null} made
 * @property {boolean} stale
 * @property {string|null} message
 *
 * @typedef {{text: string, x: number, y: number, level: number, count: number}} Region
 *
 * @typedef {object} MapAnswer
 * @property {"text"|"weights"} by
 * @property {MapState} state
 * @property {number} count
 * @property {number} side coordinates go from 0 to this
 * @property {string} ids base64 of uint32
 * @property {string} x base64 of uint16
 * @property {string} y
 * @property {{values: string[], codes: string}} base_model codes: base64 of uint16
 * @property {Region[]} regions
 */

const CELLS = 128;

/** The bytes of base64. */
function bytes(/** @type {string} */ text) {
  const raw = atob(text);
  const found = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at += 1) found[at] = raw.charCodeAt(at);
  return found;
}

/** Ids as `recommendations/map/ids` packs them. */
export const unpackIds = (/** @type {string} */ text) => new Uint32Array(bytes(text).buffer);

export class Points {
  /** @param {MapAnswer} answer */
  constructor(answer) {
    this.count = answer.count;
    this.side = answer.side;
    this.ids = unpackIds(answer.ids);
    this.x = new Uint16Array(bytes(answer.x).buffer);
    this.y = new Uint16Array(bytes(answer.y).buffer);
    this.bases = answer.base_model.values;
    this.base = new Uint16Array(bytes(answer.base_model.codes).buffer);
    this.regions = answer.regions;
    /** @type {Map<number, number>} */
    this.places = new Map();
    for (let at = 0; at < this.count; at += 1) this.places.set(this.ids[at] ?? 0, at);
    /** Points in the order of the cells that they lie in, and where each cell begins. */
    this.order = new Uint32Array(this.count);
    this.starts = new Uint32Array(CELLS * CELLS + 1);
    /** Filled by `within`. */
    this.found = new Uint32Array(this.count);
    this.#sort();
  }

  #cell(/** @type {number} */ value) {
    return Math.max(0, Math.min(CELLS - 1, Math.floor((value / (this.side + 1)) * CELLS)));
  }

  #sort() {
    const cells = new Uint32Array(this.count);
    const { starts } = this;
    for (let at = 0; at < this.count; at += 1) {
      const cell = this.#cell(this.y[at] ?? 0) * CELLS + this.#cell(this.x[at] ?? 0);
      cells[at] = cell;
      starts[cell + 1] = (starts[cell + 1] ?? 0) + 1;
    }
    for (let cell = 0; cell < CELLS * CELLS; cell += 1) starts[cell + 1] = (starts[cell + 1] ?? 0) + (starts[cell] ?? 0);
    const next = starts.slice();
    for (let at = 0; at < this.count; at += 1) {
      const cell = cells[at] ?? 0;
      const place = next[cell] ?? 0;
      this.order[place] = at;
      next[cell] = place + 1;
    }
  }

  /**
   * Which points lie in the cells that a rectangle touches: the first of `found`, as many as is returned.
   * @param {number} left @param {number} top @param {number} right @param {number} bottom
   */
  within(left, top, right, bottom) {
    const [from, to] = [this.#cell(left), this.#cell(right)];
    let many = 0;
    for (let row = this.#cell(top); row <= this.#cell(bottom); row += 1) {
      const end = this.starts[row * CELLS + to + 1] ?? 0;
      for (let place = this.starts[row * CELLS + from] ?? 0; place < end; place += 1) {
        this.found[many] = this.order[place] ?? 0;
        many += 1;
      }
    }
    return many;
  }

  /**
   * The point nearest to a place, -1 when none is within `radius`.
   * @param {number} x @param {number} y @param {number} radius @param {(at: number) => boolean} [mayBe]
   */
  nearest(x, y, radius, mayBe = () => true) {
    const many = this.within(x - radius, y - radius, x + radius, y + radius);
    let best = -1;
    let least = radius * radius;
    for (let number = 0; number < many; number += 1) {
      const at = this.found[number] ?? 0;
      const far = ((this.x[at] ?? 0) - x) ** 2 + ((this.y[at] ?? 0) - y) ** 2;
      if (far <= least && mayBe(at)) {
        best = at;
        least = far;
      }
    }
    return best;
  }
}
