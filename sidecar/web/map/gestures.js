// Mouse, fingers and keys on the map: moving, zooming, pointing at a LoRA, drawing around some.
import { isTyping } from "../dom.js";

/** @typedef {import("./camera.js").Camera} Camera */
/** @typedef {{x: number, y: number}} Place */

/**
 * @typedef {object} Heard
 * @property {() => boolean} draws does a drag draw around points?
 * @property {(at: Place|null) => void} point the pointer is here, or nowhere
 * @property {(at: Place, add: boolean) => void} click
 * @property {(line: Place[]) => void} line it is being drawn, in the map's coordinates
 * @property {(line: Place[], add: boolean) => void} drawn
 * @property {(key: string) => boolean} key another one was pressed; returns whether it meant something
 */

const STILL = 4;
const KEY_ZOOM = 1.6;
const KEY_SHIFT = 0.18;

/** @param {HTMLElement} place @param {Camera} camera @param {Heard} heard @param {AbortSignal} signal */
export function listen(place, camera, heard, signal) {
  /** @type {Map<number, Place>} */
  const pointers = new Map();
  /** @type {Place|null} */
  let begin = null;
  let moved = false;
  /** @type {Place[]|null} */
  let line = null;
  let add = false;

  const spot = (/** @type {PointerEvent|WheelEvent} */ event) => {
    const box = place.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const on = (/** @type {string} */ type, /** @type {(event: any) => void} */ call, passive = true) => place.addEventListener(type, call, { signal, passive });

  on("pointerdown", (/** @type {PointerEvent} */ event) => {
    if (event.button > 1) return;
    const at = spot(event);
    pointers.set(event.pointerId, at);
    place.setPointerCapture(event.pointerId);
    place.focus({ preventScroll: true });
    if (pointers.size > 1) {
      if (line) heard.line([]);
      line = null;
      moved = true;
      return;
    }
    begin = at;
    moved = false;
    add = event.shiftKey;
    line = event.button === 0 && (heard.draws() || event.shiftKey) ? [camera.toMap(at.x, at.y)] : null;
  });
  on("pointermove", (/** @type {PointerEvent} */ event) => {
    const at = spot(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") heard.point(at);
      return;
    }
    if (pointers.size === 2) pinch(event.pointerId, before, at);
    else if (begin && (moved || Math.hypot(at.x - begin.x, at.y - begin.y) > STILL)) {
      if (!moved) heard.point(null);
      moved = true;
      if (line) {
        line.push(camera.toMap(at.x, at.y));
        heard.line(line);
      } else camera.pan(at.x - before.x, at.y - before.y);
      place.classList.toggle("panning", !line);
    }
    pointers.set(event.pointerId, at);
  });
  const end = (/** @type {PointerEvent} */ event) => {
    const at = pointers.get(event.pointerId);
    if (!at) return;
    pointers.delete(event.pointerId);
    place.classList.remove("panning");
    if (pointers.size) return;
    if (event.type === "pointercancel") heard.line([]);
    else if (line && moved) heard.drawn(line, add);
    else if (!moved) heard.click(at, event.shiftKey);
    line = begin = null;
  };
  on("pointerup", end);
  on("pointercancel", end);
  on("pointerleave", () => pointers.size === 0 && heard.point(null));
  on(
    "wheel",
    (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 18 : 1;
      const at = spot(event);
      camera.zoomAt(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0022)), at.x, at.y);
      heard.point(at); // another one may lie there now
    },
    false,
  );
  on(
    "keydown",
    (/** @type {KeyboardEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (!press(event.key) && !heard.key(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
    },
    false,
  );

  const pinch = (/** @type {number} */ id, /** @type {Place} */ before, /** @type {Place} */ at) => {
    const other = [...pointers].find(([one]) => one !== id)?.[1];
    if (!other) return;
    const was = Math.hypot(before.x - other.x, before.y - other.y);
    const is = Math.hypot(at.x - other.x, at.y - other.y);
    camera.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
    if (was > 0) camera.zoomAt(is / was, (at.x + other.x) / 2, (at.y + other.y) / 2);
  };

  const press = (/** @type {string} */ key) => {
    if (key === "+" || key === "=") camera.step(KEY_ZOOM);
    else if (key === "-" || key === "_") camera.step(1 / KEY_ZOOM);
    else if (key === "0") camera.fit();
    else if (key === "ArrowLeft") camera.shift(-KEY_SHIFT, 0);
    else if (key === "ArrowRight") camera.shift(KEY_SHIFT, 0);
    else if (key === "ArrowUp") camera.shift(0, -KEY_SHIFT);
    else if (key === "ArrowDown") camera.shift(0, KEY_SHIFT);
    else return false;
    return true;
  };
}
