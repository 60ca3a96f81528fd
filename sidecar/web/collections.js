// The collections of the library: picked by hand, or smart (a saved search). Kept up to date for whoever shows them.
import { ApiError, request } from "./api.js";
import { attempt } from "./ask.js";
import { Emitter, throttle } from "./dom.js";
import { live } from "./events.js";
import { plural } from "./format.js";
import { offerUndo, undoing } from "./undo.js";

/** @typedef {import("./types.js").Collection} Collection */

/** Emits "change" when the list is here anew. */
class Collections extends Emitter {
  constructor() {
    super();
    /** @type {Collection[]} by name */
    this.items = [];
  }

  /** Follow what changes; `load` asks for the first time. */
  start() {
    const load = throttle(() => void this.load(), 1500);
    for (const type of ["collections.changed", "library.changed", "lora.edited", "reset"]) live.on(type, load);
    undoing.on("undone", load);
  }

  async load() {
    try {
      this.items = (await request("GET", "collections")).items;
      this.emit("change", this.items);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the last list stays
    }
  }

  /** @returns {Collection|undefined} */
  byId(/** @type {number|string} */ id) {
    return this.items.find((one) => one.id === Number(id));
  }

  get picked() {
    return this.items.filter(({ query }) => query === null);
  }

  /**
   * @param {Partial<Collection>} values
   * @returns {Promise<Collection>}
   * @throws {ApiError} the name is taken, the query cannot be read
   */
  async create(values) {
    const made = await request("POST", "collections", { body: values });
    await this.load();
    return made;
  }

  /** @throws {ApiError} as `create` */
  async change(/** @type {number} */ id, /** @type {Partial<Collection>} */ values) {
    await request("PATCH", `collections/${id}`, { body: values });
    await this.load();
  }

  async remove(/** @type {Collection} */ collection) {
    const answer = await attempt(() => request("DELETE", `collections/${collection.id}`), { failed: "Not deleted" });
    if (!answer) return false;
    await this.load();
    offerUndo(answer, `${collection.query === null ? "Collection" : "Saved search"} “${collection.name}” deleted; its LoRAs stay.`);
    return true;
  }

  /**
   * Put LoRAs into a collection that is picked by hand, or take them out.
   * @param {Collection} collection
   * @param {"add"|"remove"} way
   * @param {import("./types.js").Selection} selection
   * @param {number} many how many LoRAs that is
   */
  async pick(collection, way, selection, many) {
    const answer = await attempt(() => request("POST", `collections/${collection.id}/items`, { body: { [way]: selection } }), { failed: "Not done" });
    if (!answer) return false;
    await this.load();
    if (answer.action === null && way === "add") offerUndo(null, many === 1 ? `It is in ${collection.name} already.` : `They are in ${collection.name} already.`);
    else offerUndo(answer, way === "add" ? `${plural(many, "LoRA")} added to ${collection.name}` : `${plural(many, "LoRA")} taken out of ${collection.name}`);
    return true;
  }
}

export const collections = new Collections();
