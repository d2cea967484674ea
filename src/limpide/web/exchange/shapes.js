// What a turn from a file has to look like, so that everything here can show it.

/** @typedef {(value: any) => boolean} Check */

/** @type {Check} */
const text = (value) => typeof value === "string";
/** @type {Check} */
const number = (value) => typeof value === "number" && Number.isFinite(value);
/** @type {Check} */
const data = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
/** @param {Check} check @returns {Check} */
const list = (check) => (value) => Array.isArray(value) && value.every(check);
/** @param {Check} check @returns {Check} */
const maybe = (check) => (value) => value === undefined || value === null || check(value);
/** @param {readonly unknown[]} values @returns {Check} */
const among = (values) => (value) => values.includes(value);
/** @param {Record<string, Check>} fields @returns {Check} */
const shape = (fields) => (value) => data(value) && Object.entries(fields).every(([name, check]) => check(value[name]));
/** @param {Check} check @returns {Check} */
const values = (check) => (value) => data(value) && Object.values(value).every(check);

const chance = { token: text, logprob: number };
const tokens = list(shape({ ...chance, top: list(shape(chance)) }));
const usage = shape({ prompt_tokens: number, completion_tokens: number, prompt_tokens_details: maybe(data), completion_tokens_details: maybe(data) });
const choice = shape({ queue_seconds: maybe(number), prefill_seconds: maybe(number), decode_seconds: maybe(number) });
const extras = shape({
  receipt: maybe(shape({ parameters: values(shape({ status: text, why: maybe(text) })) })),
  choices: maybe(values(choice)),
});

/** Whether it is a turn; fields that it need not have are absent or null, or right. @type {Check} */
export const isTurn = shape({
  id: text, parent: maybe(text), role: among(["user", "assistant"]), text, created: number,
  files: maybe(list(shape({ name: text, text }))), model: maybe(text), thinking: maybe(text),
  state: among([undefined, "writing", "done", "stopped", "broken", "failed"]), error: maybe(shape({ message: text, advice: text })),
  thinkingSeconds: maybe(number), seconds: maybe(number), firstSeconds: maybe(number), pieces: maybe(number), finish: maybe(text),
  usage: maybe(usage), extras: maybe(extras), request: maybe(data), endpoint: among([undefined, "v1/chat/completions", "v1/completions"]),
  tokens: maybe(tokens), thinkingTokens: maybe(tokens),
});
