// Conversations out of the browser and into it: JSON with everything, Markdown for reading, and both ways back.

import { addTurn, newConversation, newId, pathTo } from "./conversation.js";
import { h } from "./dom.js";
import { t } from "./words.js";

/**
 * @typedef {import("./conversation.js").Conversation} Conversation
 * @typedef {import("./conversation.js").Turn} Turn
 */

const FORMAT = "limpide-conversation";
const MOST_BYTES = 64 << 20;
const MOST_TURNS = 10_000;
const MARK = /^<!-- limpide:(user|assistant|thinking)(?: (.*?))? -->$/;

/** What can't be read as a conversation. */
export class NotRead extends Error {}

/** @param {Conversation} conversation */
export const toJson = (conversation) => JSON.stringify({ format: FORMAT, version: 1, conversation }, null, 1);

/**
 * The branch that is shown. A line that looks like one of our marks is led in by a backslash.
 * @param {Conversation} conversation
 */
export function toMarkdown(conversation) {
  const escaped = (/** @type {string} */ text) => text.trim().replace(/^(\\*<!-- limpide:)/gm, "\\$1");
  const parts = pathTo(conversation).flatMap((turn) => [
    turn.role === "user" ? `<!-- limpide:user -->\n## ${t("you")}` : `<!-- limpide:assistant ${(turn.model ?? "").replace(/[^\w.:/@-]/g, "")} -->\n## ${turn.model}`,
    ...(turn.files ?? []).map((file) => `*${file.name}*\n\n${fenced(file.text)}`),
    escaped(turn.text),
    ...(turn.thinking ? [`<!-- limpide:thinking -->\n${escaped(turn.thinking)}`] : []),
  ]);
  return `# ${conversation.title}\n\n${parts.filter(Boolean).join("\n\n")}\n`;
}

/** @param {string} text */
function fenced(text) {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  return `${"`".repeat(longest + 1)}\n${text}\n${"`".repeat(longest + 1)}`;
}

/**
 * @param {Conversation} conversation
 * @param {"md" | "json"} kind
 * @param {string} content
 */
export function download(conversation, kind, content) {
  const name = conversation.title.replace(/[^\p{L}\p{N} _-]/gu, "").trim().slice(0, 60) || "limpide";
  const url = URL.createObjectURL(new Blob([content], { type: kind === "md" ? "text/markdown" : "application/json" }));
  h("a", { href: url, download: `${name}.${kind}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/**
 * @param {File} file
 * @returns {Promise<Conversation>} a new one, whatever its ids were
 */
export async function readFile(file) {
  if (file.size > MOST_BYTES) throw new NotRead(t("fileTooLarge"));
  const text = await file.text();
  return text.trimStart().startsWith("{") ? fromJson(text) : fromMarkdown(text);
}

/** @param {string} text */
export function fromJson(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new NotRead(t("importNoJson"));
  }
  if (found?.format !== FORMAT || found.version !== 1) throw new NotRead(t("importOther"));
  const { conversation } = found;
  const turns = Object.values(conversation?.turns ?? {});
  if (!turns.length || turns.length > MOST_TURNS) throw new NotRead(t("importOther"));
  const made = newConversation();
  made.title = string(conversation.title).slice(0, 200);
  const ids = new Map(turns.map((turn) => [/** @type {any} */ (turn)?.id, newId()]));
  for (const turn of turns) {
    const read = readTurn(turn, ids);
    made.turns[read.id] = read;
  }
  made.leaf = ids.get(conversation.leaf) ?? null;
  if (!made.leaf || hasLoop(made)) throw new NotRead(t("importOther"));
  return made;
}

/**
 * What we know of a turn, each field of the type that it has; receipts are data, shown as text.
 * @param {any} turn
 * @param {Map<string, string>} ids
 * @returns {Turn}
 */
function readTurn(turn, ids) {
  const id = ids.get(turn?.id);
  if (!id || !["user", "assistant"].includes(turn.role) || (turn.parent !== null && !ids.has(turn.parent))) throw new NotRead(t("importOther"));
  /** @type {Turn} */
  const read = { id, parent: turn.parent === null ? null : ids.get(turn.parent) ?? null, role: turn.role, text: string(turn.text), created: Number(turn.created) || Date.now() };
  if (Array.isArray(turn.files)) read.files = turn.files.map((/** @type {any} */ file) => ({ name: string(file?.name), text: string(file?.text) }));
  if (turn.role === "user") return read;
  const state = ["done", "stopped", "broken", "failed"].includes(turn.state) ? turn.state : "broken";
  Object.assign(read, { state, model: string(turn.model), thinking: string(turn.thinking) });
  for (const name of /** @type {const} */ (["thinkingSeconds", "seconds", "firstSeconds", "pieces"])) if (Number.isFinite(turn[name])) read[name] = turn[name];
  return read;
}

/** @param {unknown} value */
const string = (value) => (typeof value === "string" ? value : "");

/** @param {Conversation} conversation */
function hasLoop(conversation) {
  const fine = new Set();
  for (const start of Object.values(conversation.turns)) {
    const seen = new Set();
    for (let turn = start; turn && !fine.has(turn.id); turn = conversation.turns[turn.parent ?? ""]) {
      if (seen.has(turn.id)) return true;
      seen.add(turn.id);
    }
    for (const id of seen) fine.add(id);
  }
  return false;
}

/** @param {string} text */
export function fromMarkdown(text) {
  const made = newConversation();
  made.title = /^# (.*)$/m.exec(text)?.[1].slice(0, 200) ?? "";
  /** @type {{ kind: string, model: string, lines: string[] }[]} */
  const parts = [];
  for (const line of text.split(/\r?\n/)) {
    const mark = MARK.exec(line);
    if (mark) parts.push({ kind: mark[1], model: mark[2] ?? "", lines: [] });
    else parts.at(-1)?.lines.push(line.replace(/^\\(\\*<!-- limpide:)/, "$1"));
  }
  for (const { kind, model, lines } of parts) {
    const last = made.leaf ? made.turns[made.leaf] : null;
    if (kind === "thinking" && last?.role === "assistant") last.thinking = lines.join("\n").trim();
    else if (kind !== "thinking") {
      const said = lines.slice(1).join("\n").trim();
      addTurn(made, { parent: made.leaf, role: /** @type {any} */ (kind), text: said, ...(kind === "assistant" && { model, state: /** @type {const} */ ("done") }) });
    }
  }
  if (!made.leaf) throw new NotRead(t("importOther"));
  return made;
}
