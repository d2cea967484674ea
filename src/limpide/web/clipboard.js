// Copying, also where the browser has no clipboard for pages that did not come over TLS.

import { h } from "./dom.js";
import { t } from "./words.js";

/**
 * @param {string} text
 * @param {HTMLElement} [button]  says for a moment that it was done
 */
export async function copyText(text, button) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    done = copyBySelection(text);
  }
  announce(t(done ? "copied" : "notCopied"));
  if (!button) return;
  button.classList.toggle("done", done);
  setTimeout(() => button.classList.remove("done"), 1500);
}

/** @param {string} text */
function copyBySelection(text) {
  const area = h("textarea.offscreen", { value: text, "aria-hidden": "true" });
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return done;
}

/**
 * Have screen readers say something, and show it for a moment.
 * @param {string} text
 * @param {boolean} [shown]
 */
export function announce(text, shown = true) {
  const place = document.getElementById("announcements");
  if (!place) return;
  place.textContent = text;
  place.classList.toggle("shown", shown);
  clearTimeout(announcing);
  announcing = setTimeout(() => place.classList.remove("shown"), 2500);
}

let announcing = 0;
