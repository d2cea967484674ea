// Markdown as elements. While an answer grows, only the blocks that changed are made anew.

import { h, icon } from "../dom.js";
import { copyText } from "../clipboard.js";
import { visible, visibleText } from "../visible.js";
import { t } from "../words.js";
import { parseBlocks } from "./blocks.js";
import { parseInline } from "./inline.js";
import { formula } from "./math.js";

/**
 * @typedef {import("./blocks.js").Block} Block
 * @typedef {import("./inline.js").Inline} Inline
 */

/** Shows a text that grows. What no more text can change is neither read nor made again: a frame costs what is new. */
export class Prose {
  constructor() {
    this.element = h("div.prose", { dir: "auto" });
    this.text = "";
    /** How many characters, and how many blocks of them, are settled. */
    this.characters = 0;
    this.blocks = 0;
    /** What the other blocks were made of. @type {string[]} */
    this.sources = [];
  }

  /** @param {string} text */
  show(text) {
    const lines = text.replace(/\r\n?/g, "\n");
    if (lines === this.text) return;
    if (!lines.startsWith(this.text)) Object.assign(this, { characters: 0, blocks: 0, sources: [] });
    this.text = lines;
    const found = parseBlocks(lines.slice(this.characters));
    let same = 0;
    while (same < found.length && found[same].source === this.sources[same]) same += 1;
    while (this.element.childNodes.length > this.blocks + same) this.element.lastChild?.remove();
    for (const block of found.slice(same)) this.element.append(element(block));
    this.sources = found.map((block) => block.source);
    // What ended the text may go on: a list that is followed by its next item, say. It is always made anew.
    this.sources.pop();
    this.settle(found);
  }

  /**
   * Nothing reaches over a blank line but a list, and that no further than over the block that comes next.
   * @param {Block[]} found
   */
  settle(found) {
    for (let at = found.length - 2; at > 0; at -= 1) {
      const from = this.characters + found[at].from;
      if (this.text.slice(this.text.lastIndexOf("\n", from - 2) + 1, from).trim()) continue;
      this.characters = from;
      this.blocks += at;
      this.sources = this.sources.slice(at);
      return;
    }
  }
}

/**
 * @param {Block} block
 * @returns {HTMLElement}
 */
function element(block) {
  switch (block.kind) {
    case "heading": return h(`h${Math.min(6, block.level + 2)}`, null, inline(block.text));
    case "code": return code(block.text, block.language);
    case "math": return h("div.formula", null, formula(block.text, true));
    case "quote": return h("blockquote", null, block.children.map(element));
    case "rule": return h("hr");
    case "list": return list(block);
    case "table": return table(block.head, block.rows);
    default: return h("p", null, inline(block.text));
  }
}

/** @param {Block & { kind: "list" }} block */
function list(block) {
  const items = block.items.map((item) =>
    h("li", null, item.length === 1 && item[0].kind === "paragraph" ? inline(item[0].text) : item.map(element)),
  );
  return block.start === null ? h("ul", null, items) : h("ol", { start: block.start }, items);
}

/**
 * @param {string[]} head
 * @param {string[][]} rows
 */
function table(head, rows) {
  return h("div.table-scroll", { tabindex: 0, role: "region", "aria-label": t("table") },
    h("table", null,
      h("thead", null, h("tr", null, head.map((cell) => h("th", { scope: "col" }, inline(cell))))),
      h("tbody", null, rows.map((row) => h("tr", null, row.map((cell) => h("td", null, inline(cell))))))));
}

/**
 * @param {string} text
 * @param {string} language
 */
function code(text, language) {
  const label = language ? visibleText(language).slice(0, 30) : t("code");
  const button = h("button.quiet.small", { type: "button", onclick: () => copyText(text, button) }, icon("copy"), t("copy"));
  return h("figure.code", { dir: "ltr" },
    h("figcaption", null, h("span", null, label), button),
    h("pre", { tabindex: 0, role: "region", "aria-label": label }, h("code", null, visible(text))));
}

/**
 * @param {string} text
 * @returns {any[]}
 */
export const inline = (text) => parseInline(text).map(node);

/**
 * @param {Inline} part
 * @returns {any}
 */
function node(part) {
  switch (part.kind) {
    case "text": return visible(part.text);
    case "code": return h("code", { dir: "ltr" }, visible(part.text));
    case "math": return formula(part.text, false);
    case "break": return h("br");
    case "link": return link(part.href, part.children);
    default: return h(part.kind, null, part.children.map(node));
  }
}

/**
 * A link that leads where it says, or no link at all.
 * @param {string} href
 * @param {Inline[]} children
 */
function link(href, children) {
  const url = URL.canParse(href) ? new URL(href) : null;
  if (!url || !["http:", "https:", "mailto:"].includes(url.protocol)) {
    return [children.map(node), h("span.dead-link", { title: t("deadLink") }, " (", visible(href), ")")];
  }
  return h("a", { href: url.href, rel: "noopener noreferrer", target: "_blank", title: visibleText(url.href) }, children.map(node));
}
