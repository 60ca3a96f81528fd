// What the hosts' own page script offers to the scripts of extensions, as far as the suite uses it.
"use strict";

function gradioApp() {
  const app = document.getElementsByTagName("gradio-app")[0];
  return app?.shadowRoot ?? document;
}

const uiLoaded = [];
let opts = {};

function onUiLoaded(callback) {
  uiLoaded.push(callback);
}

// Hosts tell gradio of a changed box this way: gradio 3 listens for "input" and reads the target's value.
function updateInput(element) {
  const event = new Event("input", { bubbles: true });
  Object.defineProperty(event, "target", { value: element });
  element.dispatchEvent(event);
}

const watcher = new MutationObserver(() => {
  if (!gradioApp().querySelector("#txt2img_prompt")) return;
  watcher.disconnect();
  const settings = window.gradio_config?.components.find((each) => each.props?.elem_id === "settings_json");
  opts = JSON.parse(settings?.props.value ?? "{}");
  Object.assign(window, { opts });
  for (const callback of uiLoaded) callback();
});
watcher.observe(document, { childList: true, subtree: true });

Object.assign(window, { gradioApp, onUiLoaded, updateInput, opts });
