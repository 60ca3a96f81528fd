// Putting the rows of a list in another order: dragged by a handle (mouse, pen or finger), or with the arrow keys on it.

const EDGE = 48;

/**
 * @param {HTMLElement} list whose children are the rows
 * @param {{handle: string, moved: (from: number, to: number) => void}} options handle: selector of what a row is dragged by;
 *     moved: the row stands there now, by keyboard it is moved by whoever hears this
 */
export function sortable(list, { handle, moved }) {
  const rowOf = (/** @type {EventTarget|null} */ target) => {
    const grip = target instanceof Element ? target.closest(handle) : null;
    return [...list.children].find((row) => grip && row.contains(grip));
  };
  const at = (/** @type {Element} */ row) => [...list.children].indexOf(row);
  list.addEventListener("pointerdown", (event) => {
    const row = rowOf(event.target);
    if (row instanceof HTMLElement && event.button === 0) drag(list, row, event, moved);
  });
  list.addEventListener("keydown", (event) => {
    const row = rowOf(event.target);
    const by = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : 0;
    if (!row || !by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const from = at(row);
    if (from + by >= 0 && from + by < list.children.length) moved(from, from + by);
  });
}

/** Follow the pointer until it is let go; Escape puts the row back. @param {HTMLElement} list @param {HTMLElement} row @param {PointerEvent} begin @param {(from: number, to: number) => void} moved */
function drag(list, row, begin, moved) {
  begin.preventDefault(); // no text is selected
  const over = new AbortController();
  const from = [...list.children].indexOf(row);
  const scroller = list.closest(".page-body") ?? list;
  list.setPointerCapture(begin.pointerId);
  row.classList.add("dragging");
  const follow = (/** @type {PointerEvent} */ event) => {
    if (event.pointerId !== begin.pointerId) return;
    const view = scroller.getBoundingClientRect();
    if (event.clientY < view.top + EDGE) scroller.scrollBy(0, -12);
    else if (event.clientY > view.bottom - EDGE) scroller.scrollBy(0, 12);
    for (;;) {
      const above = row.previousElementSibling?.getBoundingClientRect();
      const below = row.nextElementSibling?.getBoundingClientRect();
      if (above && event.clientY < above.top + above.height / 2) row.previousElementSibling?.before(row);
      else if (below && event.clientY > below.top + below.height / 2) row.nextElementSibling?.after(row);
      else break;
    }
  };
  const end = (/** @type {boolean} */ keep) => {
    over.abort();
    row.classList.remove("dragging");
    const to = [...list.children].indexOf(row);
    if (to === from) return;
    if (keep) return moved(from, to);
    row.remove();
    list.insertBefore(row, list.children[from] ?? null);
    return undefined;
  };
  list.addEventListener("pointermove", follow, { signal: over.signal });
  list.addEventListener("pointerup", () => end(true), { signal: over.signal });
  list.addEventListener("pointercancel", () => end(false), { signal: over.signal });
  const escape = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    end(false);
  };
  document.addEventListener("keydown", escape, { capture: true, signal: over.signal });
}
