// The server's API: the same that everybody else calls.

import { askForKey, key } from "./keys.js";
import { events } from "./sse.js";
import { t } from "./words.js";

/** Something that the server, or the way to it, refused. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {{ status?: number, code?: string | null, retryAfter?: number | null }} [details]
   */
  constructor(message, { status = 0, code = null, retryAfter = null } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** What the person can do about it. */
  get advice() {
    if (this.status === 0) return t("adviceOffline");
    if (this.status === 401) return t("adviceKey");
    if (this.status === 429 || this.status === 503) return t("adviceWait", { seconds: this.retryAfter ?? 5 });
    if (this.code === "context_length_exceeded") return t("adviceContext");
    return this.status >= 500 ? t("adviceServer") : t("adviceRequest");
  }
}

/**
 * @param {string} path  below the folder that the page is in
 * @param {unknown} [body]  JSON; with one it is a POST
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
async function request(path, body, signal) {
  for (;;) {
    const response = await send(path, body, signal);
    if (response.ok) return response;
    const error = await problem(response);
    if (response.status === 401 && (await askForKey(error.message))) continue;
    throw error;
  }
}

/**
 * @param {string} path
 * @param {unknown} body
 * @param {AbortSignal} [signal]
 */
async function send(path, body, signal) {
  const sent = key();
  const headers = { ...(sent && { Authorization: `Bearer ${sent}` }), ...(body !== undefined && { "Content-Type": "application/json" }) };
  const method = body === undefined ? "GET" : "POST";
  try {
    return await fetch(new URL(path, document.baseURI), {
      method, headers, signal, cache: "no-store", credentials: "omit",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(t("noAnswer"));
  }
}

/**
 * JSON as it was written: whole numbers that JavaScript's can't hold, as seeds may be, stay the digits that they are.
 * @param {string} source
 */
export const parse = (source) =>
  JSON.parse(source, /** @type {any} */ ((/** @type {string} */ _, /** @type {unknown} */ value, /** @type {any} */ context) =>
    Number.isInteger(value) && !Number.isSafeInteger(value) ? context?.source ?? value : value));

/** @param {Response} response */
async function problem(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  const found = await response.json().catch(() => null);
  const message = String(found?.error?.message ?? `${response.status} ${response.statusText}`);
  return new ApiError(message, { status: response.status, code: found?.error?.code ?? null, retryAfter });
}

/**
 * @param {string} path
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 */
export const json = async (path, body, signal) => parse(await (await request(path, body, signal)).text());

/** @param {string} path */
export const text = async (path) => (await request(path)).text();

/**
 * The chunks of a stream, to its very end: what breaks off before is an error.
 * @param {string} path
 * @param {object} body
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<any>}
 */
export async function* chunks(path, body, signal) {
  const response = await request(path, body, signal);
  try {
    for await (const data of events(response)) {
      if (data === "[DONE]") return;
      const chunk = parse(data);
      if (chunk.error) throw new ApiError(String(chunk.error.message), { status: 500, code: chunk.error.code });
      yield chunk;
    }
  } catch (error) {
    if (error instanceof ApiError || (error instanceof DOMException && error.name === "AbortError")) throw error;
    throw new ApiError(t("brokeOff"));
  }
  throw new ApiError(t("brokeOff"));
}
