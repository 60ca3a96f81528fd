// Signing in: with the token from the address that the sidecar printed, or by hand.
import { ApiError, access, signIn } from "./api.js";
import { find } from "./dom.js";

/** Take a token out of the page's address and trade it for the cookie. */
export async function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    await signIn(token);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the first request shows what is wrong
  }
}

/** @param {() => void} entered called after a sign-in by hand */
export function startSignIn(entered) {
  const view = find("#sign-in");
  /** @type {HTMLInputElement} */
  const box = find("#token");
  const note = find("#sign-in-note");
  access.on("unauthorized", ({ code, message }) => {
    if (!view.hidden) return;
    view.hidden = false;
    const host = code === "not_signed_in"; // the host's own login ended: its token would not help
    find("#sign-in-host").hidden = !host;
    find("#sign-in-own").hidden = host;
    if (host) find("#sign-in-host p").textContent = message;
    document.body.classList.add("signed-out");
    find("#app").inert = true;
    (host ? find("#sign-in-reload") : box).focus();
  });
  find("#sign-in-reload").addEventListener("click", () => location.reload());
  find("form", view).addEventListener("submit", async (event) => {
    event.preventDefault();
    note.textContent = "";
    try {
      await signIn(box.value.trim());
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      note.textContent = error.status === 401 ? "This is not the token." : error.message;
      box.select();
      return;
    }
    box.value = "";
    view.hidden = true;
    document.body.classList.remove("signed-out");
    find("#app").inert = false;
    entered();
  });
}
