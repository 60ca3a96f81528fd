// Requests to the sidecar. Addresses are relative to the page, so that it works at / and below a host's sub-path.
import { Emitter } from "./dom.js";

/** @typedef {import("./types.js").Lora} Lora */
/** @typedef {import("./types.js").Detail} Detail */

/** What the sidecar answered instead of a result; `status` 0 means that it could not be reached. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   * @param {any} [detail] what belongs to the code: the place in a query, the present values of a conflict
   */
  constructor(status, code, message, detail = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

/** Hears "unauthorized" {code, message}: "not_signed_in" is the host's login, anything else the sidecar's token. */
export const access = new Emitter();

/** The absolute address of a path below the page's folder. */
export const address = (/** @type {string} */ path) => new URL(path, document.baseURI);

/**
 * @param {string} method
 * @param {string} path below api/v1/, with its query
 * @param {{body?: unknown, signal?: AbortSignal, token?: string}} [options] body: a Blob goes as it is, anything else as JSON
 * @returns {Promise<any>} the parsed answer, null when it has no body
 * @throws {ApiError}
 */
export async function request(method, path, { body, signal, token } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  const blob = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = blob ? body.type : "application/json";
  if (token) headers["Authorization"] = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(address(`api/v1/${path}`), {
      method,
      headers,
      signal: signal ?? null,
      body: body === undefined ? null : blob ? body : JSON.stringify(body),
      credentials: "same-origin",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "LoRA Manager does not answer. It may be restarting.");
  }
  if (response.ok) return response.status === 204 ? null : response.json().catch((error) => (signal?.aborted ? Promise.reject(error) : null));
  const told = await response.json().then((answer) => answer?.error, () => null);
  if (response.status === 401 && !token) access.emit("unauthorized", { code: told?.code, message: told?.message });
  throw new ApiError(response.status, told?.code ?? "error", told?.message ?? `The sidecar answered ${response.status}.`, told?.detail);
}

/** @returns {Promise<import("./types.js").LoraList>} */
export const listLoras = (/** @type {URLSearchParams} */ query, /** @type {AbortSignal} */ signal) =>
  request("GET", `loras?${query}`, { signal });

/**
 * @param {number} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<Detail>}
 */
export const readLora = (id, signal) => request("GET", `loras/${id}`, signal ? { signal } : {});

/** @returns {Promise<Detail & {action?: number|null}>} */
export const editLora = (/** @type {number} */ id, /** @type {Record<string, unknown>} */ change) =>
  request("PATCH", `loras/${id}`, { body: change });

/** @returns {Promise<{items: import("./types.js").Generation[], total: number}>} */
export const readHistory = (/** @type {number} */ id, /** @type {AbortSignal} */ signal) =>
  request("GET", `loras/${id}/history?limit=5`, { signal });

/** @returns {Promise<import("./types.js").Health>} */
export const readHealth = () => request("GET", "health");

/** @returns {Promise<import("./types.js").LibraryStatus>} */
export const readStatus = () => request("GET", "library/status");

export const startScan = () => request("POST", "library/scan", { body: {} });

export const pauseHashing = (/** @type {boolean} */ paused) => request("POST", "library/hashing", { body: { paused } });

export const addFolder = (/** @type {string} */ path) => request("POST", "library/folders", { body: { add: [path] } });

export const signIn = (/** @type {string} */ token) => request("POST", "session", { body: {}, token });

/** The thumbnail of a LoRA's preview, or with `original` the file itself. */
export function previewUrl(/** @type {Lora} */ lora, original = false) {
  const version = encodeURIComponent(lora.preview?.v ?? "");
  return address(`api/v1/loras/${lora.id}/preview?v=${version}${original ? "&original=1" : ""}`).href;
}
