// The branch of a conversation that is shown, as Markdown for reading, and back.

import { addTurn, fenced, newConversation, pathTo } from "../conversation.js";
import { t } from "../words.js";
import { NotRead } from "./refusal.js";

/**
 * @typedef {import("../conversation.js").Conversation} Conversation
 * @typedef {import("../conversation.js").Turn} Turn
 * @typedef {{ kind: string, name: string, lines: string[] }} Part  what follows one of our marks
 */

const MARK = /^<!-- limpide:(user|assistant|thinking|file|text)(?: (\S+))? -->$/;
const FENCE = /^`{3,}$/;

/** A name that can stand in a comment, and mostly be read there. @param {string} name */
const encoded = (name) => encodeURIComponent(name.toWellFormed()).replace(/%(2F|3A|40|2B)/g, decodeURIComponent).replaceAll("--", "%2D%2D");

/** A text in which no line is one of our marks: each that looks like one is led in by a backslash. @param {string} text */
const escaped = (text) => text.replace(/^(\\*<!-- limpide:)/gm, "\\$1");
/** @param {string} line */
const unescaped = (line) => line.replace(/^\\(\\*<!-- limpide:)/, "$1");

/** @param {Conversation} conversation */
export function toMarkdown(conversation) {
  return `# ${conversation.title}\n\n${pathTo(conversation).flatMap(parts).join("\n\n")}\n`;
}

/**
 * @param {Turn} turn
 * @returns {string[]}
 */
function parts(turn) {
  const files = (turn.files ?? []).flatMap((file) => [`<!-- limpide:file ${encoded(file.name)} -->`, `*${file.name.replace(/\s+/g, " ")}*`, escaped(fenced(file.text))]);
  const head = turn.role === "user" ? `<!-- limpide:user -->\n## ${t("you")}` : `<!-- limpide:assistant ${encoded(turn.model || "-")} -->\n## ${turn.model || t("answer")}`;
  const text = turn.text.trim() ? [...(files.length ? ["<!-- limpide:text -->"] : []), escaped(turn.text.trim())] : [];
  const thinking = turn.thinking?.trim() ? [`<!-- limpide:thinking -->\n${escaped(turn.thinking.trim())}`] : [];
  return [head, ...files, ...text, ...thinking];
}

/**
 * Throws NotRead for Markdown that has none of our marks.
 * @param {string} text
 * @returns {Conversation}
 */
export function fromMarkdown(text) {
  const [before, ...parts] = split(text);
  const made = newConversation();
  made.title = /^# (.*)$/m.exec(before.lines.join("\n"))?.[1].slice(0, 200) ?? "";
  for (const part of parts) take(made, part);
  if (!made.leaf) throw new NotRead(t("importOther"));
  return made;
}

/**
 * @param {string} text
 * @returns {Part[]} the first is what stands before all marks
 */
function split(text) {
  /** @type {Part[]} */
  const parts = [{ kind: "", name: "", lines: [] }];
  for (const line of text.split(/\r?\n/)) {
    const mark = MARK.exec(line);
    if (mark) parts.push({ kind: mark[1], name: decoded(mark[2] ?? ""), lines: [] });
    else parts.at(-1)?.lines.push(unescaped(line));
  }
  return parts;
}

/** @param {string} name */
function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    throw new NotRead(t("importOther"));
  }
}

/**
 * @param {Conversation} made
 * @param {Part} part
 */
function take(made, { kind, name, lines }) {
  const last = made.leaf ? made.turns[made.leaf] : null;
  const said = lines.join("\n").trim();
  if (kind === "user") addTurn(made, { parent: made.leaf, role: "user", text: withoutHeading(lines) });
  else if (kind === "assistant") addTurn(made, { parent: made.leaf, role: "assistant", text: withoutHeading(lines), model: name === "-" ? "" : name, state: "done" });
  else if (!last) throw new NotRead(t("importOther"));
  else if (kind === "file") (last.files ??= []).push({ name, text: unfenced(lines) });
  else if (kind === "text") last.text = said;
  else last.thinking = said;
}

/** @param {string[]} lines */
const withoutHeading = (lines) => (lines[0]?.startsWith("## ") ? lines.slice(1) : lines).join("\n").trim();

/**
 * What stands between the fences.
 * @param {string[]} lines
 */
function unfenced(lines) {
  const from = lines.findIndex((line) => FENCE.test(line));
  const to = lines.indexOf(lines[from], from + 1);
  if (from < 0 || to < 0) throw new NotRead(t("importOther"));
  return lines.slice(from + 1, to).join("\n");
}
