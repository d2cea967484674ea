// Markdown as blocks: what a model writes, no more than that, and without any HTML.

/**
 * @typedef {{ source: string, from: number }} Place  what a block was made of, and at which character that begins
 * @typedef {Place & ({ kind: "paragraph", text: string }
 *   | { kind: "heading", level: number, text: string }
 *   | { kind: "code", language: string, text: string }
 *   | { kind: "math", text: string }
 *   | { kind: "quote", children: Block[] }
 *   | { kind: "list", start: number | null, items: Block[][] }
 *   | { kind: "table", head: string[], rows: string[][] }
 *   | { kind: "rule" })} Block
 */

const DEEPEST = 8;
const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*)$/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const ITEM = /^( {0,11})([-*+]|\d{1,9}[.)])([ \t]+(.*)|)$/;
const DIVIDER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

/**
 * @param {string} text  lines end with a line feed
 * @returns {Block[]}
 */
export function parseBlocks(text) {
  return blocks(text.split("\n"), 0);
}

/**
 * @param {string[]} lines
 * @param {number} depth
 * @returns {Block[]}
 */
function blocks(lines, depth) {
  /** @type {Block[]} */
  const found = [];
  let from = 0;
  for (let at = 0; at < lines.length; ) {
    const [block, next] = lines[at].trim() ? read(lines, at, depth) : [null, at + 1];
    const source = lines.slice(at, next).join("\n");
    if (block) found.push({ ...block, source, from });
    from += source.length + 1;
    at = next;
  }
  return found;
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {number} depth
 * @returns {[any, number]} the block that begins at a line, and the line after it
 */
function read(lines, at, depth) {
  for (const reader of readers(depth)) {
    const found = reader(lines, at, depth);
    if (found) return found;
  }
  return paragraph(lines, at);
}

/** @param {number} depth */
const readers = (depth) => [fence, math, heading, rule, ...(depth < DEEPEST ? [quote, list] : []), table];

/** @typedef {[any, number] | null} Read */

/**
 * @param {string[]} lines
 * @param {number} at
 * @returns {Read}
 */
function fence(lines, at) {
  const open = FENCE.exec(lines[at]);
  if (!open) return null;
  const close = new RegExp(`^ {0,3}${open[1][0]}{${open[1].length},}[ \\t]*$`);
  let end = at + 1;
  while (end < lines.length && !close.test(lines[end])) end += 1;
  const indent = /^ */.exec(lines[at])?.[0].length ?? 0;
  const text = lines.slice(at + 1, end).map((line) => dedent(line, indent)).join("\n");
  return [{ kind: "code", language: open[2].trim().split(/\s/)[0], text }, Math.min(end + 1, lines.length)];
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @returns {Read}
 */
function math(lines, at) {
  const first = lines[at].trim();
  const [open, close] = first.startsWith("$$") ? ["$$", "$$"] : ["\\[", "\\]"];
  if (!first.startsWith(open)) return null;
  for (let end = at; end < lines.length; end += 1) {
    const line = end === at ? first.slice(2) : lines[end];
    if (end > at && !line.trim()) return null;
    const closing = line.indexOf(close);
    if (closing < 0) continue;
    if (line.slice(closing + 2).trim().replace(/^[.,;]$/, "")) return null;
    const inner = end === at ? [line.slice(0, closing)] : [first.slice(2), ...lines.slice(at + 1, end), line.slice(0, closing)];
    return [{ kind: "math", text: inner.join("\n").trim() }, end + 1];
  }
  return null;
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @returns {Read}
 */
function heading(lines, at) {
  const match = HEADING.exec(lines[at]);
  return match && [{ kind: "heading", level: match[1].length, text: match[2].replace(/\s#+\s*$/, "") }, at + 1];
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @returns {Read}
 */
function rule(lines, at) {
  return RULE.test(lines[at]) ? [{ kind: "rule" }, at + 1] : null;
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {number} depth
 * @returns {Read}
 */
function quote(lines, at, depth) {
  if (!/^ {0,3}>/.test(lines[at])) return null;
  let end = at;
  while (end < lines.length && /^ {0,3}>/.test(lines[end])) end += 1;
  const inner = lines.slice(at, end).map((line) => line.replace(/^ {0,3}> ?/, ""));
  return [{ kind: "quote", children: blocks(inner, depth + 1) }, end];
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {number} depth
 * @returns {Read}
 */
function list(lines, at, depth) {
  const first = ITEM.exec(lines[at]);
  if (!first || first[1].length > 3) return null;
  const ordered = /\d/.test(first[2]);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const item = ITEM.exec(lines[end]);
    if (!item || item[1].length > first[1].length + 1 || /\d/.test(item[2]) !== ordered || RULE.test(lines[end])) break;
    const indent = item[1].length + item[2].length + 1;
    const own = [item[4] ?? ""];
    end += 1;
    while (end < lines.length && belongs(lines, end, indent, first[1].length)) own.push(dedent(lines[end++], indent));
    while (own.length > 1 && !(own.at(-1) ?? "").trim()) own.pop();
    items.push(blocks(own, depth + 1));
    while (end < lines.length && !lines[end].trim() && ITEM.test(nextFilled(lines, end))) end += 1;
  }
  return [{ kind: "list", start: ordered ? Number.parseInt(first[2], 10) : null, items }, end];
}

/**
 * Whether a line goes on with the item above it.
 * @param {string[]} lines
 * @param {number} at
 * @param {number} indent
 * @param {number} outer
 */
function belongs(lines, at, indent, outer) {
  const line = lines[at];
  if (!line.trim()) return leading(nextFilled(lines, at)) >= Math.min(indent, outer + 2);
  if (leading(line) >= Math.min(indent, outer + 2)) return true;
  return Boolean(lines[at - 1].trim()) && !ITEM.test(line) && !starts(line);
}

/** @param {string} line */
const starts = (line) => FENCE.test(line) || HEADING.test(line) || RULE.test(line) || /^ {0,3}>/.test(line);
/** @param {string} line */
const leading = (line) => line.length - line.trimStart().length;

/**
 * @param {string} line
 * @param {number} indent
 */
const dedent = (line, indent) => line.slice(Math.min(indent, leading(line)));

/**
 * The next line that is not empty; few are looked at, as between items there are few.
 * @param {string[]} lines
 * @param {number} at
 */
function nextFilled(lines, at) {
  for (let next = at; next < Math.min(lines.length, at + 4); next += 1) if (lines[next].trim()) return lines[next];
  return "";
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @returns {Read}
 */
function table(lines, at) {
  if (!lines[at].includes("|") || !DIVIDER.test(lines[at + 1] ?? "") || !lines[at + 1].includes("-")) return null;
  const head = cells(lines[at]);
  if (cells(lines[at + 1]).length !== head.length) return null;
  const rows = [];
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) rows.push(cells(lines[end++]).slice(0, head.length));
  return [{ kind: "table", head, rows }, end];
}

/** @param {string} line */
function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @returns {[any, number]}
 */
function paragraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !starts(lines[end]) && !ITEM.test(lines[end])) {
    if (lines[end].trim().startsWith("$$") || lines[end].trim().startsWith("\\[")) break;
    end += 1;
  }
  return [{ kind: "paragraph", text: lines.slice(at, end).join("\n").trim() }, end];
}
