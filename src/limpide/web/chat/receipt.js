// The receipt: what was really done with a request.

import { copyText } from "../clipboard.js";
import { messagesTo } from "../conversation.js";
import { fill, h } from "../dom.js";
import { visible } from "../visible.js";
import { count, decimal, duration, t } from "../words.js";
import { asCurl, asPython } from "./snippets.js";
import { sureness } from "./tokens.js";

/**
 * @typedef {import("../conversation.js").Turn} Turn
 * @typedef {import("../conversation.js").Conversation} Conversation
 */

/**
 * @param {Turn} turn
 * @param {Conversation} conversation
 */
export function receipt(turn, conversation) {
  if (!turn.usage || !turn.extras?.receipt) return null;
  const body = h("div.receipt-body");
  const details = h("details.receipt", { ontoggle: () => details.open && !body.hasChildNodes() && fill(body, contents(turn, conversation)) },
    h("summary", null, summary(turn)), body);
  return details;
}

/** @param {Turn} turn */
function speed(turn) {
  const choice = turn.extras.choices?.["0"];
  // The first token comes with the prompt's computing; what decoding took is the others' time.
  const tokens = turn.usage.completion_tokens - 1;
  return choice?.decode_seconds > 0 && tokens > 0 ? tokens / choice.decode_seconds : null;
}

/** @param {Turn} turn */
export function summary(turn) {
  const perSecond = speed(turn);
  return [t("tokens", { count: count(turn.usage.completion_tokens) }), perSecond && t("perSecond", { rate: decimal(perSecond) }),
    turn.firstSeconds !== undefined && t("firstWords", { seconds: duration(turn.firstSeconds) })].filter(Boolean).join(" · ");
}

/**
 * @param {Turn} turn
 * @param {Conversation} conversation
 */
function contents(turn, conversation) {
  const { usage, extras } = turn;
  const { receipt: paper, choices } = extras;
  const choice = choices?.["0"] ?? {};
  return [
    h("dl", null,
      row(t("promptTokens"), `${count(usage.prompt_tokens)} · ${t("cached", { count: count(usage.prompt_tokens_details?.cached_tokens ?? 0) })}`),
      row(t("answerTokens"), `${count(usage.completion_tokens)} · ${t("ofThinking", { count: count(usage.completion_tokens_details?.reasoning_tokens ?? 0) })}`),
      row(t("times"), t("timesWords", { queue: duration(choice.queue_seconds ?? 0), prefill: duration(choice.prefill_seconds ?? 0), decode: duration(choice.decode_seconds ?? 0) })),
      row(t("ended"), [choice.reason ?? turn.finish, choice.stop].filter(Boolean).join(" · ")),
      turn.tokens?.length && row(t("sure"), sureness(turn.tokens)),
      row(t("model"), paper.model), row(t("engine"), `${paper.engine} · ${paper.numerics}`), row(t("seed"), paper.seed ?? "—"),
      hash(t("weights"), paper.weights_sha256), hash(t("tokenizer"), paper.tokenizer_sha256), hash(t("template"), paper.template_sha256)),
    h("h3", null, t("parameters")), parameters(paper.parameters),
    h("div.actions", null, copier(t("copyCurl"), () => asCurl(path(turn), requestOf(turn, conversation))),
      copier(t("copyPython"), () => asPython(path(turn), requestOf(turn, conversation))),
      copier(t("copyReceipt"), () => JSON.stringify({ usage, limpide: extras }, null, 2))),
  ];
}

/** @param {Turn} turn */
const path = (turn) => turn.endpoint ?? "v1/chat/completions";

/**
 * The request again, as it was sent.
 * @param {Turn} turn
 * @param {Conversation} conversation
 */
function requestOf(turn, conversation) {
  const { system = "", ...body } = turn.request ?? {};
  return body.prompt === undefined ? { ...body, messages: messagesTo(conversation, turn.parent, system) } : body;
}

/**
 * @param {string} name
 * @param {unknown} value
 */
const row = (name, value) => [h("dt", null, name), h("dd", null, visible(String(value)))];

/**
 * @param {string} name
 * @param {string | null} value
 */
const hash = (name, value) => row(`${name} (SHA-256)`, value ?? t("unknown"));

/** @param {Record<string, { status: string, requested: unknown, effective: unknown, why: string | null }>} all */
function parameters(all) {
  const status = /** @type {Record<string, string>} */ ({ applied: t("applied"), clamped: t("clamped"), refused: t("refused") });
  return h("div.table-scroll", { tabindex: 0, role: "region", "aria-label": t("parameters") }, h("table", null,
    h("thead", null, h("tr", null, [t("parameter"), t("became"), t("asked"), t("used"), t("why")].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", null, Object.entries(all).map(([name, outcome]) => h("tr", { class: outcome.status },
      h("th", { scope: "row" }, h("code", null, name)), h("td", null, status[outcome.status] ?? outcome.status),
      h("td", null, shown(outcome.requested)), h("td", null, shown(outcome.effective)), h("td", null, visible(outcome.why ?? "")))))));
}

/** @param {unknown} value */
const shown = (value) => (value === null || value === undefined ? "—" : visible(JSON.stringify(value).slice(0, 200)));

/**
 * @param {string} label
 * @param {() => string} text
 */
function copier(label, text) {
  const button = h("button.quiet.small", { type: "button", onclick: () => copyText(text(), button) }, label);
  return button;
}
