// An answer while it is being written.

import { ApiError, chunks, json } from "./api.js";

/**
 * @typedef {import("./conversation.js").Conversation} Conversation
 * @typedef {import("./conversation.js").Turn} Turn
 * @typedef {import("./conversation.js").Token} Token
 */

/** Asks for one answer and writes it into a turn. */
export class Writing {
  /**
   * @param {Conversation} conversation  that the turn stands in
   * @param {Turn} turn
   * @param {() => void} changed  called whenever the turn has more
   */
  constructor(conversation, turn, changed) {
    this.conversation = conversation;
    this.turn = turn;
    this.changed = changed;
    this.abort = new AbortController();
    /** @type {string | null} */
    this.id = null;
    this.stopping = false;
    this.started = performance.now();
    /** @type {number | null} */
    this.thinkingSince = null;
  }

  get thinking() {
    return this.thinkingSince !== null;
  }

  get seconds() {
    return (performance.now() - this.started) / 1000;
  }

  /**
   * A chat completion, or a raw one that goes on with what the turn already says. Never throws: what went wrong is
   * written into the turn, beside all that came before.
   * @param {"v1/chat/completions" | "v1/completions"} path
   * @param {(signal: AbortSignal) => any} body  a promise if it has to be asked for first; if not, it is sent before this returns
   */
  async run(path, body) {
    const { turn } = this;
    Object.assign(turn, { state: "writing", error: undefined, pieces: 0 });
    try {
      const { signal } = this.abort;
      const asked = body(signal);
      for await (const chunk of chunks(path, asked instanceof Promise ? await asked : asked, signal)) this.take(chunk);
      turn.state = this.stopping ? "stopped" : "done";
    } catch (error) {
      this.fail(error);
    }
    this.endThinking();
    turn.seconds = this.seconds;
    this.changed();
  }

  /** @param {unknown} error */
  fail(error) {
    const { turn } = this;
    if (error instanceof DOMException && error.name === "AbortError") {
      turn.state = "stopped";
      return;
    }
    const known = error instanceof ApiError ? error : new ApiError(String(error), { status: 500 });
    const begun = Boolean(turn.text || turn.thinking);
    turn.state = begun ? "broken" : "failed";
    turn.error = { message: known.message, advice: known.advice };
  }

  /** @param {any} chunk */
  take(chunk) {
    const { turn } = this;
    this.id ??= chunk.id;
    turn.model = chunk.model ?? turn.model;
    turn.usage = chunk.usage ?? turn.usage;
    turn.extras = chunk.limpide ?? turn.extras;
    const choice = chunk.choices?.[0];
    if (choice) this.takeChoice(choice);
    this.changed();
  }

  /** @param {any} choice */
  takeChoice(choice) {
    const { turn } = this;
    const thought = choice.delta?.reasoning ?? "";
    const said = choice.delta?.content ?? choice.text ?? "";
    if (thought || said) {
      turn.firstSeconds ??= this.seconds;
      turn.pieces = (turn.pieces ?? 0) + 1;
    }
    if (thought) {
      this.thinkingSince ??= performance.now();
      turn.thinking = (turn.thinking ?? "") + thought;
    }
    if (said) {
      this.endThinking();
      turn.text += said;
    }
    if (choice.logprobs) this.takeLogprobs(choice.logprobs);
    turn.finish = choice.finish_reason ?? turn.finish;
  }

  /** @param {any} logprobs */
  takeLogprobs(logprobs) {
    const { turn } = this;
    if (logprobs.tokens) (turn.tokens ??= []).push(...rawTokens(logprobs));
    if (logprobs.content?.length) (turn.tokens ??= []).push(...logprobs.content.map(chatToken));
    if (logprobs.reasoning?.length) (turn.thinkingTokens ??= []).push(...logprobs.reasoning.map(chatToken));
  }

  endThinking() {
    if (this.thinkingSince === null) return;
    this.turn.thinkingSeconds = (performance.now() - this.thinkingSince) / 1000;
    this.thinkingSince = null;
  }

  /** End it where it is. The stream then ends as always, with its receipt; if it doesn't, we leave. */
  async stop() {
    this.stopping = true;
    setTimeout(() => this.abort.abort(), 3000);
    if (!this.id?.startsWith("chatcmpl-")) return this.abort.abort();
    await json(`v1/chat/completions/${encodeURIComponent(this.id)}/cancel`, {}).catch(() => this.abort.abort());
  }

  /** End the thinking: the answer comes next. Throws ApiError. */
  async answerNow() {
    if (this.id) await json(`v1/chat/completions/${encodeURIComponent(this.id)}/stop-thinking`, {});
  }
}

/** @param {any} token @returns {Token} */
const chatToken = (token) => ({
  token: token.token,
  logprob: token.logprob,
  top: (token.top_logprobs ?? []).map((/** @type {any} */ each) => ({ token: each.token, logprob: each.logprob })),
});

/** @param {any} logprobs @returns {Token[]} */
const rawTokens = (logprobs) =>
  logprobs.tokens.map((/** @type {string} */ token, /** @type {number} */ at) => ({
    token,
    logprob: logprobs.token_logprobs[at],
    top: Object.entries(logprobs.top_logprobs?.[at] ?? {}).map(([text, logprob]) => ({ token: text, logprob })),
  }));
