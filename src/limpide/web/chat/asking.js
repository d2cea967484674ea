// From a turn to a request, and to the answer that comes of it.

import { json } from "../api.js";
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

/** A chat completion as the settings want it, but for its messages. */
export function chatBody() {
  const { settings, model } = app;
  const dial = model?.limpide.thinking === "none" ? {} : { think: dialOf(settings) };
  const sure = settings.sure && { logprobs: true, top_logprobs: settings.alternatives };
  return { model: model?.id, stream: true, stream_options: { include_usage: true }, ...samplingOf(settings), ...dial, ...sure };
}

/**
 * Have a question answered.
 * @param {Conversation} conversation
 * @param {Turn} question
 */
export async function ask(conversation, question) {
  const { system } = app.settings;
  const body = chatBody();
  const turn = addTurn(conversation, {
    parent: question.id, role: "assistant", text: "", model: body.model, state: "writing", request: { ...body, system }, endpoint: "v1/chat/completions",
  });
  await write(conversation, [question, turn], () => ({ ...body, messages: messagesTo(conversation, question.id, system) }));
}

/**
 * Go on from the middle of an answer, in a branch of its own: after `text`, which has the tokens `tokens`.
 * @param {Conversation} conversation
 * @param {Turn} answer
 * @param {string} text
 * @param {Token[]} tokens
 */
export async function goOn(conversation, answer, text, tokens) {
  const { system = "", stream_options: _, stream: __, ...asked } = answer.request ?? chatBody();
  const turn = addTurn(conversation, {
    parent: answer.parent, role: "assistant", text, model: answer.model, state: "writing", tokens: [...tokens], endpoint: "v1/completions",
  });
  await write(conversation, [turn], async (signal) => {
    const chat = { ...asked, ...("think" in asked && { think: "off" }), messages: messagesTo(conversation, answer.parent, system) };
    const prompt = await promptOf(chat, text, signal);
    const body = rawBody(asked, prompt);
    turn.request = { ...body, prompt: `(${t("tokens", { count: prompt.length })})` };
    return body;
  });
}

/** Whether an answer can be gone on from: one that was thought about has more before it than we are shown. */
export const canGoOn = (/** @type {Turn} */ answer) => !answer.thinking;

/**
 * The tokens of a conversation as the model sees it, and of the beginning of an answer to it.
 * @param {any} chat
 * @param {string} beginning
 * @param {AbortSignal} signal
 * @returns {Promise<number[]>}
 */
async function promptOf(chat, beginning, signal) {
  const { tokens } = await json("apply-template", chat, signal);
  if (!beginning) return tokens;
  const added = await json("tokenize", { model: chat.model, text: beginning }, signal);
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
 * Write the last of some new turns.
 * @param {Conversation} conversation
 * @param {Turn[]} turns
 * @param {(signal: AbortSignal) => any} body
 */
async function write(conversation, turns, body) {
  const turn = turns[turns.length - 1];
  const writing = new Writing(conversation, turn, () => {
    app.library.grow(conversation, turn);
    app.wrote(conversation);
  });
  const unloaded = app.model?.limpide.state !== "loaded";
  app.writings.set(turn.id, writing);
  // It is sent first: while the server reads it, there is time to keep and to show it.
  const running = writing.run(turn.endpoint ?? "v1/chat/completions", body);
  app.library.save(conversation, ...turns);
  app.wrote(conversation);
  await running;
  app.writings.delete(turn.id);
  app.library.save(conversation, turn);
  app.wrote(conversation);
  announce(t(turn.error ? "answerFailed" : "answerDone"), false);
  if (unloaded) await app.readModels().catch(() => {});
}
