// Light or dark: what the host's page says, else what the system prefers.
import { bridge } from "./bridge.js";

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function apply() {
  const isDark = bridge.host ? bridge.host.dark : dark.matches;
  document.documentElement.dataset["theme"] = isDark ? "dark" : "light";
}

export function startTheme() {
  apply();
  dark.addEventListener("change", apply);
  bridge.on("host", apply);
}
