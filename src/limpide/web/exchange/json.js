// A conversation as JSON, with all its branches and receipts, and back.

import { newConversation, newId } from "../conversation.js";
import { t } from "../words.js";
import { NotRead } from "./refusal.js";
import { isTurn } from "./shapes.js";

/**
 * @typedef {import("../conversation.js").Conversation} Conversation
 * @typedef {import("../conversation.js").Turn} Turn
 */

const FORMAT = "limpide-conversation";
const MOST_TURNS = 10_000;
const FIELDS = /** @type {const} */ ([
  "role", "text", "created", "files", "model", "thinking", "state", "error", "thinkingSeconds", "seconds", "firstSeconds",
  "pieces", "finish", "usage", "extras", "request", "endpoint", "tokens", "thinkingTokens",
]);

/** @param {Conversation} conversation */
export const toJson = (conversation) => JSON.stringify({ format: FORMAT, version: 1, conversation }, null, 1);

/**
 * Throws NotRead for anything else than what `toJson` writes.
 * @param {string} text
 * @returns {Conversation} with ids of its own
 */
export function fromJson(text) {
  const found = parsed(text);
  if (found?.format !== FORMAT || found.version !== 1) throw new NotRead(t("importOther"));
  const { conversation } = found;
  const turns = Object.values(conversation?.turns ?? {});
  if (!turns.length || turns.length > MOST_TURNS || !turns.every(isTurn)) throw new NotRead(t("importOther"));
  const ids = new Map(turns.map((turn) => [turn.id, newId()]));
  const made = { ...newConversation(), title: String(conversation.title ?? "").replace(/\s+/g, " ").slice(0, 200), leaf: ids.get(conversation.leaf) ?? null };
  for (const turn of turns) {
    const own = read(turn, ids);
    made.turns[own.id] = own;
  }
  if (!made.leaf || ids.size !== turns.length || hasLoop(made)) throw new NotRead(t("importOther"));
  return made;
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new NotRead(t("importNoJson"));
  }
}

/**
 * @param {Turn} turn
 * @param {Map<string, string>} ids
 * @returns {Turn}
 */
function read(turn, ids) {
  const parent = turn.parent === null ? null : ids.get(turn.parent);
  if (parent === undefined) throw new NotRead(t("importOther"));
  const known = Object.fromEntries(FIELDS.filter((name) => turn[name] !== undefined).map((name) => [name, turn[name]]));
  return /** @type {Turn} */ ({ ...known, ...(turn.state === "writing" && { state: "broken" }), id: ids.get(turn.id), parent });
}

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
