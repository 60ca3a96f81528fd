// The symbol sheet: every icon of the page as 16×16 line art, drawn in the text's colour.

const SHAPES = {
  search: '<circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3 3"/>',
  star: '<path d="m8 1.9 1.9 3.9 4.3.6-3.1 3 .7 4.3L8 11.7l-3.8 2 .7-4.3-3.1-3 4.3-.6z"/>',
  info: '<circle cx="8" cy="8" r="6"/><path d="M8 7.3v3.6M8 5.1v.1"/>',
  close: '<path d="m4 4 8 8M12 4l-8 8"/>',
  plus: '<path d="M8 3v10M3 8h10"/>',
  minus: '<path d="M3 8h10"/>',
  check: '<path d="m3 8.5 3.2 3.2L13 4.8"/>',
  copy: '<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5"/>',
  filter: '<path d="M2 4h12M4.5 8h7M6.5 12h3"/>',
  sort: '<path d="M5 3v10m0 0L2.5 10.5M5 13l2.5-2.5M11 13V3m0 0L8.5 5.5M11 3l2.5 2.5"/>',
  down: '<path d="m4 6 4 4 4-4"/>',
  right: '<path d="m6 4 4 4-4 4"/>',
  left: '<path d="m10 4-4 4 4 4"/>',
  folder: '<path d="M2 4.5A1.5 1.5 0 0 1 3.5 3h2.7l1.6 1.8h4.7A1.5 1.5 0 0 1 14 6.3v5.2a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 2 11.5z"/>',
  tag: '<path d="M2.5 3.5v4L8.6 13.6a1.4 1.4 0 0 0 2 0l3-3a1.4 1.4 0 0 0 0-2L7.5 2.5h-4a1 1 0 0 0-1 1z"/><path d="M5.4 5.4v.1"/>',
  warn: '<path d="M8 2.2 14.4 13H1.6z"/><path d="M8 6.4v3.2M8 11.4v.1"/>',
  gone: '<circle cx="8" cy="8" r="6"/><path d="m3.8 3.8 8.4 8.4"/>',
  external: '<path d="M9.5 2.5h4v4M13.5 2.5 7.5 8.5M11.5 9v3a1.5 1.5 0 0 1-1.5 1.5H4A1.5 1.5 0 0 1 2.5 12V6A1.5 1.5 0 0 1 4 4.5h3"/>',
  refresh: '<path d="M13.5 8a5.5 5.5 0 1 1-1.7-4M13.5 2v3h-3"/>',
  pause: '<path d="M5.5 3.5v9M10.5 3.5v9"/>',
  play: '<path d="M5 3.2v9.6L12.8 8z"/>',
  undo: '<path d="M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6M3 6.5l3-3M3 6.5l3 3"/>',
  redo: '<path d="M13 6.5H6.5a3.5 3.5 0 0 0 0 7H10M13 6.5l-3-3M13 6.5l-3 3"/>',
  keyboard: '<rect x="1.5" y="4" width="13" height="8" rx="1.5"/><path d="M4.3 6.7v.1M6.8 6.7v.1M9.2 6.7v.1M11.7 6.7v.1M5.5 9.5h5"/>',
  pulse: '<path d="M1.5 8h3l1.8-4.5 3 9L11.2 8h3.3"/>',
  small: '<path d="M2.5 2.5h2.6v2.6H2.5zM6.7 2.5h2.6v2.6H6.7zM10.9 2.5h2.6v2.6h-2.6zM2.5 6.7h2.6v2.6H2.5zM6.7 6.7h2.6v2.6H6.7zM10.9 6.7h2.6v2.6h-2.6zM2.5 10.9h2.6v2.6H2.5zM6.7 10.9h2.6v2.6H6.7zM10.9 10.9h2.6v2.6h-2.6z"/>',
  medium: '<path d="M2.5 2.5h4.4v4.4H2.5zM9.1 2.5h4.4v4.4H9.1zM2.5 9.1h4.4v4.4H2.5zM9.1 9.1h4.4v4.4H9.1z"/>',
  large: '<rect x="2.5" y="2.5" width="11" height="11" rx="1"/>',
  edit: '<path d="m2.5 13.5.7-3 7.6-7.6a1.4 1.4 0 0 1 2 0l.3.3a1.4 1.4 0 0 1 0 2l-7.6 7.6z"/>',
  image: '<rect x="2" y="2.5" width="12" height="11" rx="1.5"/><circle cx="5.6" cy="6" r="1.1"/><path d="m3 12.5 3.7-3.6 2.2 2 2.3-2.6 2.8 3"/>',
  rate: '<path d="m5 3.6 1 2 2.2.4-1.6 1.5.4 2.2-2-1-2 1 .4-2.2L1.8 6 4 5.6zM9.5 5h5M9.5 8h5M3 12.5h11.5"/>',
  label: '<path d="M3.5 13.5v-10a1 1 0 0 1 1-1h7a1 1 0 0 1 1 1v10L8 10.3z"/>',
  question: '<circle cx="8" cy="8" r="6"/><path d="M6.2 6.4A1.8 1.8 0 0 1 8 5c1 0 1.8.7 1.8 1.6C9.8 7.9 8 7.9 8 9.2M8 11.2v.1"/>',
  library: '<path d="M3 2.8v10.4M6.2 2.8v10.4M9.3 3.2l3.4 9.8"/>',
  menu: '<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/>',
  more: '<path d="M3.5 8v.1M8 8v.1M12.5 8v.1"/>',
  eye: '<path d="M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8z"/><circle cx="8" cy="8" r="1.9"/>',
  hide: '<path d="M6.2 4.1A6 6 0 0 1 8 3.8c4 0 6.5 4.2 6.5 4.2a11 11 0 0 1-1.8 2.2M3.6 5.4A11 11 0 0 0 1.5 8S4 12.2 8 12.2a6 6 0 0 0 2.7-.6M2.5 2.5l11 11"/>',
  trash: '<path d="M2.8 4.5h10.4M6 4.5V3a.8.8 0 0 1 .8-.8h2.4A.8.8 0 0 1 10 3v1.5M4 4.5l.6 8a1.2 1.2 0 0 0 1.2 1.1h4.4a1.2 1.2 0 0 0 1.2-1.1l.6-8"/>',
  upload: '<path d="M8 10.5v-8M5 5.3l3-3 3 3M2.5 10.5v2a1 1 0 0 0 1 1h9a1 1 0 0 0 1-1v-2"/>',
  download: '<path d="M8 2.5v8M5 7.7l3 3 3-3M2.5 10.5v2a1 1 0 0 0 1 1h9a1 1 0 0 0 1-1v-2"/>',
  clock: '<circle cx="8" cy="8" r="6"/><path d="M8 4.6V8l2.3 1.6"/>',
  gear: '<circle cx="8" cy="8" r="2.1"/><path d="M8 1.8v1.9M8 12.3v1.9M1.8 8h1.9M12.3 8h1.9M3.6 3.6 5 5M11 11l1.4 1.4M12.4 3.6 11 5M5 11l-1.4 1.4"/>',
  layers: '<path d="m8 2 6 3-6 3-6-3zM2.3 8 8 10.9 13.7 8M2.3 11 8 13.9l5.7-2.9"/>',
  archive: '<rect x="2" y="2.8" width="12" height="3.2" rx=".8"/><path d="M3 6v6a1.2 1.2 0 0 0 1.2 1.2h7.6A1.2 1.2 0 0 0 13 12V6M6.3 8.7h3.4"/>',
  cloud: '<path d="M4.7 12.5a3 3 0 0 1-.3-6 3.8 3.8 0 0 1 7.3.8 2.7 2.7 0 0 1-.4 5.2z"/>',
  link: '<path d="M6.7 9.3a2.5 2.5 0 0 0 3.6 0l2.4-2.4a2.5 2.5 0 0 0-3.6-3.6l-.7.7M9.3 6.7a2.5 2.5 0 0 0-3.6 0L3.3 9.1a2.5 2.5 0 0 0 3.6 3.6l.7-.7"/>',
  move: '<path d="M2 4.5A1.5 1.5 0 0 1 3.5 3h2.7l1.6 1.8h4.7A1.5 1.5 0 0 1 14 6.3v5.2a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 2 11.5zM5.5 9h4.8m-1.9-2 2 2-2 2"/>',
  list: '<path d="M6 4h7.5M6 8h7.5M6 12h7.5"/><circle cx="2.9" cy="4" r=".7"/><circle cx="2.9" cy="8" r=".7"/><circle cx="2.9" cy="12" r=".7"/>',
  grip: '<path d="M6 4v.1M6 8v.1M6 12v.1M10 4v.1M10 8v.1M10 12v.1" stroke-width="1.8"/>',
  send: '<path d="M2.5 8h9M8 4.2 11.8 8 8 11.8M14 3v10"/>',
  prompt: '<path d="M2.5 4h11M2.5 7.3h5M2.5 12h4"/><path d="m8.6 12.4.5-2 3.6-3.6 1.5 1.5-3.6 3.6z"/>',
  unlink: '<path d="m8.2 4 .7-.7a2.5 2.5 0 0 1 3.6 3.6l-1.5 1.5M7.8 12l-.7.7a2.5 2.5 0 0 1-3.6-3.6L5 7.6M3 3l10 10"/>',
  good: '<path d="M2.5 7.2h2.3v6H2.5zM4.8 7.2 7.6 2c1 0 1.6.7 1.4 1.7l-.5 2.5h3.6a1.4 1.4 0 0 1 1.4 1.7l-.9 4.1a1.6 1.6 0 0 1-1.5 1.2H4.8"/>',
  bad: '<path d="M2.5 8.8h2.3v-6H2.5zM4.8 8.8 7.6 14c1 0 1.6-.7 1.4-1.7l-.5-2.5h3.6a1.4 1.4 0 0 0 1.4-1.7l-.9-4.1a1.6 1.6 0 0 0-1.5-1.2H4.8"/>',
  heat: '<path d="M2.5 2.5h11v11h-11zM2.5 8h11M8 2.5v11"/><path d="M8 2.5h5.5V8H8zM2.5 8H8v5.5H2.5z" fill="currentColor" fill-opacity=".45" stroke="none"/>',
  map: '<path d="M2 4.2 6 2.6l4 1.6 4-1.6v9.2l-4 1.6-4-1.6-4 1.6zM6 2.6v9.2M10 4.2v9.2"/>',
  lasso: '<path d="M5.2 10.6C3.3 10 2 8.7 2 7c0-2.4 2.7-4.2 6-4.2S14 4.6 14 7s-2.7 4.2-6 4.2c-.5 0-1 0-1.4-.1"/><circle cx="5.8" cy="11" r="1.3"/><path d="M5.2 12.2c.2 1-.3 1.7-1.2 2"/>',
  fit: '<path d="M2.5 6V3.5a1 1 0 0 1 1-1H6M10 2.5h2.5a1 1 0 0 1 1 1V6M13.5 10v2.5a1 1 0 0 1-1 1H10M6 13.5H3.5a1 1 0 0 1-1-1V10"/>',
  key: '<circle cx="5.2" cy="10.8" r="2.7"/><path d="m7.2 8.8 6-6M11 5l1.8 1.8"/>',
};

/** @typedef {keyof typeof SHAPES} IconName */

/** @type {Map<string, SVGSVGElement>} */
const drawn = new Map();

/**
 * A fresh copy of an icon; hidden from screen readers, since the control around it carries the label.
 * @param {IconName} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  let sheet = drawn.get(name);
  if (!sheet) {
    const template = document.createElement("template");
    template.innerHTML =
      '<svg class="icon" viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.4" ' +
      `stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">${SHAPES[name]}</svg>`;
    sheet = /** @type {SVGSVGElement} */ (template.content.firstElementChild);
    drawn.set(name, sheet);
  }
  return /** @type {SVGSVGElement} */ (sheet.cloneNode(true));
}
