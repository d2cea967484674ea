// From a turn to a request, and to the answer that comes of it.

import { ApiError, json } from "../api.js";
import { app } from "../app.js";
import { announce } from "../clipboard.js";
import { addTurn, messagesTo } from "../conversation.js";
import { dialOf, samplingOf } from "../settings.js";
import { t } from "../words.js";
import { Writing } from "../writing.js";

/**
 * @typedef {import("../conversation.js").Conversation} Conversation
 * @typedef {import("../conversation.js").Turn} Turn
 * @typedef {import("../conversation.js").Token} Token
 */

/** The body's part that does not come from the conversation. */
function common() {
  const { settings, model } = app;
  return { model: model?.id, stream: true, stream_options: { include_usage: true }, ...samplingOf(settings) };
}

/** @param {Record<string, unknown>} [changes] */
export function chatBody(changes = {}) {
  const { settings } = app;
  const dial = app.model?.limpide.thinking === "none" ? {} : { think: dialOf(settings) };
  const sure = settings.sure && { logprobs: true, top_logprobs: settings.alternatives };
  return { ...common(), ...dial, ...sure, ...changes };
}

/**
 * Have a question answered.
 * @param {Conversation} conversation
 * @param {Turn} question
 * @param {() => void} changed
 */
export async function ask(conversation, question, changed) {
  const body = chatBody();
  const turn = addTurn(conversation, { parent: question.id, role: "assistant", text: "", model: app.model?.id, request: body });
  const messages = messagesTo(conversation, question.id, app.settings.system);
  turn.request = { ...body, system: app.settings.system };
  await write(conversation, turn, "v1/chat/completions", { ...body, messages }, changed);
}

/**
 * Go on from the middle of an answer, in a branch of its own: after `text`, which has the tokens `tokens`.
 * @param {Conversation} conversation
 * @param {Turn} answer
 * @param {string} text
 * @param {Token[]} tokens
 * @param {() => void} changed
 */
export async function goOn(conversation, answer, text, tokens, changed) {
  const { system = "", stream_options: _, stream: __, ...asked } = answer.request ?? chatBody();
  const turn = addTurn(conversation, {
    parent: answer.parent, role: "assistant", text, model: answer.model, state: "writing", tokens: [...tokens],
    endpoint: "v1/completions",
  });
  changed();
  try {
    const prompt = await promptOf({ ...asked, ...("think" in asked && { think: "off" }), messages: messagesTo(conversation, answer.parent, system) }, text);
    const body = rawBody(asked, prompt);
    turn.request = { ...body, prompt: `(${t("tokens", { count: prompt.length })})` };
    await write(conversation, turn, "v1/completions", body, changed);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    Object.assign(turn, { state: "failed", error: { message: error.message, advice: error.advice } });
    app.library.save(conversation);
    changed();
  }
}

/** Whether an answer can be gone on from: one that was thought about has more before it than we are shown. */
export const canGoOn = (/** @type {Turn} */ answer) => !answer.thinking;

/**
 * The tokens of a conversation as the model sees it, and of the beginning of an answer to it.
 * @param {any} chat
 * @param {string} beginning
 * @returns {Promise<number[]>}
 */
async function promptOf(chat, beginning) {
  const { tokens } = await json("apply-template", chat);
  if (!beginning) return tokens;
  const added = await json("tokenize", { model: chat.model, text: beginning });
  return [...tokens, ...added.tokens];
}

/**
 * @param {any} asked
 * @param {number[]} prompt
 */
function rawBody(asked, prompt) {
  const { think: _, logprobs, top_logprobs: alternatives, ...rest } = asked;
  const context = app.models.find((model) => model.id === asked.model)?.limpide.context ?? 2048;
  const room = Math.max(1, context - prompt.length);
  return {
    ...rest, prompt, stream: true, stream_options: { include_usage: true },
    max_tokens: Math.min(asked.max_tokens ?? room, room), ...(logprobs && { logprobs: alternatives }),
  };
}

/**
 * @param {Conversation} conversation
 * @param {Turn} turn
 * @param {"v1/chat/completions" | "v1/completions"} path
 * @param {any} body
 * @param {() => void} changed
 */
async function write(conversation, turn, path, body, changed) {
  turn.endpoint = path;
  const writing = new Writing(turn, () => {
    app.library.save(conversation, "grows");
    changed();
  });
  app.writings.set(turn.id, writing);
  const unloaded = app.model?.limpide.state !== "loaded";
  changed();
  await writing.run(path, body);
  app.writings.delete(turn.id);
  app.library.save(conversation);
  changed();
  announce(t(turn.error ? "answerFailed" : "answerDone"), false);
  if (unloaded) await app.readModels().catch(() => {});
}
