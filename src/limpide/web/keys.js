// The key, where the server wants one: kept for this tab alone, and gone when it is closed.

import { h } from "./dom.js";
import { session } from "./storage.js";
import { t } from "./words.js";

const PLACE = "limpide.key";

export const key = () => session.get(PLACE);

/** @type {Promise<boolean> | null} */
let asking = null;

/**
 * Ask for a key. However many requests wait for one, it is asked for once.
 * @param {string} why  what the server said
 * @returns {Promise<boolean>} whether one was given
 */
export function askForKey(why) {
  asking ??= show(why).finally(() => (asking = null));
  return asking;
}

/** @param {string} why */
function show(why) {
  return new Promise((resolve) => {
    // Not a password field: browsers would offer to keep it, and it shall be gone with the tab.
    const input = h("input.secret", { type: "text", id: "key", autocomplete: "off", required: true, spellcheck: "false" });
    const finish = (/** @type {boolean} */ given) => {
      if (given) session.set(PLACE, input.value.trim());
      dialog.close();
      dialog.remove();
      refocus();
      resolve(given);
    };
    const dialog = h("dialog.card", { "aria-labelledby": "key-title", oncancel: () => finish(false) },
      h("form", { onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); finish(true); } },
        h("h2", { id: "key-title" }, t("keyTitle")),
        h("p.multi-line", null, key() ? why : t("keyWhy")),
        h("label", { for: "key" }, t("key")), input,
        h("p.note", null, t("keyNote")),
        h("div.actions", null,
          h("button.quiet", { type: "button", onclick: () => finish(false) }, t("cancel")),
          h("button.primary", { type: "submit" }, t("keyUse")))));
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
}

/** Chromium gives the focus back to a text field without a caret, and then nothing can be typed: take it anew. */
function refocus() {
  requestAnimationFrame(() => {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    focused?.blur();
    focused?.focus();
  });
}
