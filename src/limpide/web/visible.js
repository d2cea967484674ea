// Characters that would reorder or hide text, made visible.

import { h } from "./dom.js";

/** Bidi controls, marks, and controls that are no white space. Joiners stay: scripts and emoji need them. */
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/gu;

/** @param {string} character */
const name = (character) => `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;

/**
 * A text as nodes, in which what can't be seen is seen.
 * @param {string} text
 * @returns {(string | HTMLElement)[]}
 */
export function visible(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > from) nodes.push(text.slice(from, match.index));
    nodes.push(h("span.hidden-character", { title: name(match[0]) }, name(match[0])));
    from = match.index + match[0].length;
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}

/**
 * The same, as plain text, for labels and titles.
 * @param {string} text
 */
export const visibleText = (text) => text.replace(HIDDEN, (character) => `[${name(character)}]`);
