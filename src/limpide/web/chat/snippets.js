// The request as something to run elsewhere. Keys are named, never written out.

import { key } from "../keys.js";

/** @param {string} path */
const url = (path) => new URL(path, document.baseURI).href;

/**
 * @param {string} path
 * @param {any} body
 */
export function asCurl(path, body) {
  const quoted = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  const header = key() ? " \\\n  -H \"Authorization: Bearer $LIMPIDE_API_KEY\"" : "";
  return `curl ${url(path)}${header} \\\n  -H 'Content-Type: application/json' \\\n  --no-buffer -d '${quoted}'\n`;
}

/**
 * @param {string} path
 * @param {any} body
 */
export function asPython(path, body) {
  const key_ = key() ? 'os.environ["LIMPIDE_API_KEY"]' : '"unused"';
  const [own, ours] = split(body);
  const extra = Object.keys(ours).length ? `    extra_body=${python(ours, 4)},\n` : "";
  const fields = Object.entries(own).map(([name, value]) => `    ${name}=${python(value, 4)},\n`).join("");
  const chat = path.includes("chat");
  return `${key() ? "import os\n\n" : ""}from openai import OpenAI

client = OpenAI(base_url=${python(url("v1"), 0)}, api_key=${key_})
stream = client.${chat ? "chat.completions" : "completions"}.create(
${fields}${extra})
for chunk in stream:
    for choice in chunk.choices:
        print(choice.${chat ? "delta.content" : "text"} or "", end="", flush=True)
`;
}

/** Fields that OpenAI's client does not know by name. */
const OURS = new Set(["think", "top_k", "min_p", "repetition_penalty"]);

/** @param {any} body */
function split(body) {
  const entries = Object.entries(body);
  return [Object.fromEntries(entries.filter(([name]) => !OURS.has(name))), Object.fromEntries(entries.filter(([name]) => OURS.has(name)))];
}

/**
 * A JSON value as Python writes it.
 * @param {unknown} value
 * @param {number} indent
 * @returns {string}
 */
function python(value, indent) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  // JSON's strings are Python's, except for what is beyond 16 bits, which both can read as it is.
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = " ".repeat(indent + 4);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const parts = Array.isArray(value)
    ? value.map((each) => inner + python(each, indent + 4))
    : Object.entries(value).map(([name, each]) => `${inner}${JSON.stringify(name)}: ${python(each, indent + 4)}`);
  return parts.length ? `${open}\n${parts.join(",\n")},\n${" ".repeat(indent)}${close}` : open + close;
}
