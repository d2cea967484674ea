// What can be done with any turn: go to its other versions, copy it.

import { copyText } from "../clipboard.js";
import { alternatives } from "../conversation.js";
import { h, iconButton } from "../dom.js";
import { t } from "../words.js";

/**
 * @typedef {import("../conversation.js").Turn} Turn
 * @typedef {import("../conversation.js").Conversation} Conversation
 * @typedef {{
 *   conversation: Conversation, again: (turn: Turn) => void, edit: (turn: Turn, text: string) => void,
 *   goTo: (turn: Turn) => void, goOn: (turn: Turn, text: string, tokens: import("../conversation.js").Token[]) => void,
 * }} Does
 */

/**
 * @param {Turn} turn
 * @param {Does} does
 */
export function branches(turn, does) {
  const all = alternatives(does.conversation, turn);
  if (all.length < 2) return null;
  const at = all.indexOf(turn);
  return h("span.branches", { role: "group", "aria-label": t("branches") },
    iconButton("left", t("branchBefore"), () => does.goTo(all[at - 1]), { disabled: at === 0 }),
    h("span", null, `${at + 1}/${all.length}`),
    iconButton("right", t("branchAfter"), () => does.goTo(all[at + 1]), { disabled: at === all.length - 1 }));
}

/** @param {Turn} turn */
export function copyButton(turn) {
  const button = iconButton("copy", t("copy"), () => copyText(turn.text, button));
  return button;
}
