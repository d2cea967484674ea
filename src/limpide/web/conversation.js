// A conversation is a tree: editing a question or asking again makes a branch, and nothing that was said is lost.

/**
 * @typedef {{ token: string, logprob: number, top: { token: string, logprob: number }[] }} Token
 * @typedef {{ name: string, text: string }} TextFile
 * @typedef {{
 *   id: string, parent: string | null, role: "user" | "assistant", text: string, created: number,
 *   files?: TextFile[],
 *   model?: string, thinking?: string, state?: "writing" | "done" | "stopped" | "broken" | "failed",
 *   error?: { message: string, advice: string }, thinkingSeconds?: number, seconds?: number, firstSeconds?: number,
 *   pieces?: number, finish?: string, usage?: any, extras?: any, request?: any, endpoint?: "v1/chat/completions" | "v1/completions",
 *   tokens?: Token[], thinkingTokens?: Token[],
 * }} Turn
 * @typedef {{ id: string, title: string, created: number, updated: number, leaf: string | null, turns: Record<string, Turn> }} Conversation
 */

export const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => byte.toString(36).padStart(2, "0")).join("");

/** @returns {Conversation} */
export function newConversation() {
  const now = Date.now();
  return { id: newId(), title: "", created: now, updated: now, leaf: null, turns: {} };
}

/**
 * Add a turn and go there.
 * @param {Conversation} conversation
 * @param {Omit<Turn, "id" | "created">} turn
 * @returns {Turn}
 */
export function addTurn(conversation, turn) {
  const added = { ...turn, id: newId(), created: Date.now() };
  conversation.turns[added.id] = added;
  conversation.leaf = added.id;
  conversation.title ||= titleOf(added);
  return added;
}

/** @param {Turn} turn */
const titleOf = (turn) => (turn.text.trim() || turn.files?.[0]?.name || "").replace(/\s+/g, " ").slice(0, 80);

/**
 * From the first turn to this one.
 * @param {Conversation} conversation
 * @param {string | null} [leaf]
 * @returns {Turn[]}
 */
export function pathTo(conversation, leaf = conversation.leaf) {
  const path = [];
  for (let turn = leaf && conversation.turns[leaf]; turn; turn = turn.parent && conversation.turns[turn.parent]) path.push(turn);
  return path.reverse();
}

/**
 * A turn and those that stand in its place in other branches, oldest first.
 * @param {Conversation} conversation
 * @param {Turn} turn
 */
export function alternatives(conversation, turn) {
  return children(conversation, turn.parent);
}

/**
 * Oldest first.
 * @param {Conversation} conversation
 * @param {string | null} parent
 */
function children(conversation, parent) {
  return Object.values(conversation.turns).filter((turn) => turn.parent === parent).sort((one, other) => one.created - other.created);
}

/**
 * Go to a branch: to its latest end.
 * @param {Conversation} conversation
 * @param {Turn} turn
 */
export function goTo(conversation, turn) {
  let last = turn;
  for (let next = children(conversation, last.id).at(-1); next; next = children(conversation, last.id).at(-1)) last = next;
  conversation.leaf = last.id;
}

/**
 * A text between fences that are longer than any in it.
 * @param {string} text
 */
export function fenced(text) {
  const longest = [...text.matchAll(/`+/g)].reduce((most, [run]) => Math.max(most, run.length), 2);
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}

/**
 * What the model is sent: a question with the files that were put to it.
 * @param {Turn} turn
 */
export function contentOf(turn) {
  const files = (turn.files ?? []).map(({ name, text }) => `${name}:\n${fenced(text.replace(/\n$/, ""))}`);
  return [...files, turn.text].filter(Boolean).join("\n\n");
}

/**
 * Messages of the API, up to and with a turn.
 * @param {Conversation} conversation
 * @param {string | null} leaf
 * @param {string} system
 */
export function messagesTo(conversation, leaf, system) {
  const turns = pathTo(conversation, leaf).map((turn) => ({ role: turn.role, content: contentOf(turn) }));
  return system.trim() ? [{ role: "system", content: system }, ...turns] : turns;
}

/**
 * Whether every word is somewhere in it.
 * @param {Conversation} conversation
 * @param {string} query
 */
export function matches(conversation, query) {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return true;
  const all = [conversation.title, ...Object.values(conversation.turns).map((turn) => turn.text)].join("\n").toLocaleLowerCase();
  return words.every((word) => all.includes(word));
}
