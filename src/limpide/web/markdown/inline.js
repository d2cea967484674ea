// The inside of a paragraph: emphasis, code, links, formulas. A scanner of our own, in linear time.

/**
 * @typedef {{ kind: "text", text: string }
 *   | { kind: "code" | "math", text: string }
 *   | { kind: "strong" | "em" | "del", children: Inline[] }
 *   | { kind: "link", href: string, children: Inline[] }
 *   | { kind: "break" }} Inline
 */

/** Beyond this a paragraph is shown as it is: nobody reads emphasis in a line of a megabyte. */
const MOST_CHARACTERS = 20_000;
const DEEPEST = 6;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const BARE_URL = /https?:\/\/[^\s<>"'`\\]{1,2000}/y;
const ENTITIES = /** @type {Record<string, string>} */ ({
  "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&nbsp;": "\u00a0",
});

/**
 * @param {string} source
 * @param {number} [depth]
 * @returns {Inline[]}
 */
export function parseInline(source, depth = 0) {
  if (source.length > MOST_CHARACTERS || depth > DEEPEST) return [{ kind: "text", text: source }];
  return new Scanner(source, depth).scan();
}

/** Reads one paragraph from its beginning to its end. */
class Scanner {
  /**
   * @param {string} source
   * @param {number} depth
   */
  constructor(source, depth) {
    this.source = source;
    this.depth = depth;
    this.at = 0;
    this.plain = "";
    /** @type {Inline[]} */
    this.found = [];
    /** Closers that were looked for in vain: looking again, further on, is in vain too. */
    this.missing = new Set();
  }

  scan() {
    while (this.at < this.source.length) {
      const character = this.source[this.at];
      if (!this.special(character)) {
        this.plain += character;
        this.at += 1;
      }
    }
    this.flush();
    return this.found;
  }

  /** @param {string} character */
  special(character) {
    switch (character) {
      case "\\": return this.escape();
      case "`": return this.code();
      case "*":
      case "_": return this.emphasis(character);
      case "~": return this.source.startsWith("~~", this.at) && this.wrap("~~", "del");
      case "!": return this.source[this.at + 1] === "[" && this.link(this.at + 1);
      case "[": return this.link(this.at);
      case "<": return this.autolink();
      case "h": return this.bareUrl();
      case "$": return this.dollars();
      case "&": return this.entity();
      case "\n": return this.lineBreak();
      default: return false;
    }
  }

  flush() {
    if (this.plain) this.found.push({ kind: "text", text: this.plain });
    this.plain = "";
  }

  /**
   * @param {Inline} node
   * @param {number} end
   */
  push(node, end) {
    this.flush();
    this.found.push(node);
    this.at = end;
    return true;
  }

  /**
   * Where a closer comes, or -1.
   * @param {string} closer
   * @param {number} from
   */
  find(closer, from) {
    if (this.missing.has(closer)) return -1;
    const at = this.source.indexOf(closer, from);
    if (at < 0) this.missing.add(closer);
    return at;
  }

  escape() {
    const next = this.source[this.at + 1];
    if (next === "(" || next === "[") {
      const closer = next === "(" ? "\\)" : "\\]";
      const end = this.find(closer, this.at + 2);
      if (end > 0) return this.push({ kind: "math", text: this.source.slice(this.at + 2, end) }, end + 2);
    }
    if (next === "\n") return this.push({ kind: "break" }, this.at + 2);
    if (next === undefined || !PUNCTUATION.test(next)) return false;
    this.plain += next;
    this.at += 2;
    return true;
  }

  code() {
    let ticks = 1;
    while (this.source[this.at + ticks] === "`") ticks += 1;
    const fence = "`".repeat(ticks);
    const end = this.find(fence, this.at + ticks);
    if (end < 0) {
      this.plain += fence;
      this.at += ticks;
      return true;
    }
    const text = this.source.slice(this.at + ticks, end).replace(/\n/g, " ");
    const padded = text.length > 2 && text.startsWith(" ") && text.endsWith(" ");
    return this.push({ kind: "code", text: padded ? text.slice(1, -1) : text }, end + ticks);
  }

  /** @param {string} mark */
  emphasis(mark) {
    const before = this.source[this.at - 1] ?? " ";
    if (mark === "_" && /[\p{L}\p{N}]/u.test(before)) return false;
    if (this.source.startsWith(mark + mark, this.at)) return this.wrap(mark + mark, "strong") || this.literal(2);
    return this.wrap(mark, "em");
  }

  /** @param {number} length */
  literal(length) {
    this.plain += this.source.slice(this.at, this.at + length);
    this.at += length;
    return true;
  }

  /**
   * @param {string} mark
   * @param {"strong" | "em" | "del"} kind
   */
  wrap(mark, kind) {
    const from = this.at + mark.length;
    if (/\s/.test(this.source[from] ?? " ")) return false;
    let end = this.find(mark, from + 1);
    while (end > 0 && !this.closes(mark, end)) end = this.source.indexOf(mark, end + 1);
    if (end < 0) {
      this.missing.add(mark);
      return false;
    }
    const children = parseInline(this.source.slice(from, end), this.depth + 1);
    return this.push({ kind, children }, end + mark.length);
  }

  /**
   * @param {string} mark
   * @param {number} at
   */
  closes(mark, at) {
    if (/\s/.test(this.source[at - 1])) return false;
    const after = this.source[at + mark.length] ?? " ";
    if (mark === "_" && /[\p{L}\p{N}]/u.test(after)) return false;
    return mark.length > 1 || (after !== mark && this.source[at - 1] !== mark);
  }

  /** @param {number} bracket */
  link(bracket) {
    const middle = this.find("](", bracket + 1);
    if (middle < 0 || middle - bracket > 1000) return false;
    const end = this.closingParenthesis(middle + 2);
    if (end < 0) return false;
    const label = this.source.slice(bracket + 1, middle);
    const href = this.source.slice(middle + 2, end).trim().split(/\s/)[0].replace(/^<|>$/g, "");
    return this.push({ kind: "link", href, children: parseInline(label, this.depth + 1) }, end + 1);
  }

  /** @param {number} from */
  closingParenthesis(from) {
    let open = 1;
    for (let at = from; at < Math.min(this.source.length, from + 2000); at += 1) {
      if (this.source[at] === "(") open += 1;
      if (this.source[at] === ")") open -= 1;
      if (this.source[at] === "\n") return -1;
      if (!open) return at;
    }
    return -1;
  }

  autolink() {
    const end = this.find(">", this.at + 1);
    const href = end < 0 ? "" : this.source.slice(this.at + 1, end);
    if (href.length > 2000 || !/^(https?:\/\/|mailto:)[^\s<]+$/i.test(href)) return false;
    return this.push({ kind: "link", href, children: [{ kind: "text", text: href }] }, end + 1);
  }

  bareUrl() {
    BARE_URL.lastIndex = this.at;
    const match = BARE_URL.exec(this.source);
    if (!match || /[\p{L}\p{N}]/u.test(this.source[this.at - 1] ?? " ")) return false;
    const href = match[0].replace(/[.,;:!?)\]*_]+$/, "");
    return this.push({ kind: "link", href, children: [{ kind: "text", text: href }] }, this.at + href.length);
  }

  dollars() {
    const mark = this.source[this.at + 1] === "$" ? "$$" : "$";
    const from = this.at + mark.length;
    const end = this.find(mark, from);
    if (end <= from) return false;
    const text = this.source.slice(from, end);
    const money = mark === "$" && (/^\s|\s$/.test(text) || /\d/.test(this.source[end + 1] ?? ""));
    if (money || text.includes("\n\n")) return false;
    return this.push({ kind: "math", text }, end + mark.length);
  }

  entity() {
    const end = this.source.indexOf(";", this.at);
    const character = end < 0 || end - this.at > 6 ? undefined : ENTITIES[this.source.slice(this.at, end + 1)];
    if (!character) return false;
    this.plain += character;
    this.at = end + 1;
    return true;
  }

  lineBreak() {
    if (!this.plain.endsWith("  ")) return false;
    this.plain = this.plain.trimEnd();
    return this.push({ kind: "break" }, this.at + 1);
  }
}
