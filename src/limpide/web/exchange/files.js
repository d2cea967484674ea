// Conversations as files, out of the browser and into it.

import { h } from "../dom.js";
import { t } from "../words.js";
import { fromJson } from "./json.js";
import { fromMarkdown } from "./markdown.js";
import { NotRead } from "./refusal.js";

export { NotRead };

/** @typedef {import("../conversation.js").Conversation} Conversation */

const MOST_BYTES = 64 << 20;

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
 * Throws NotRead for what is no conversation.
 * @param {File} file
 * @returns {Promise<Conversation>} a new one, whatever its ids were
 */
export async function readFile(file) {
  if (file.size > MOST_BYTES) throw new NotRead(t("fileTooLarge"));
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new NotRead(t("fileNoText"));
  }
  return /^\s*[{[]/.test(text) ? fromJson(text) : fromMarkdown(text);
}
