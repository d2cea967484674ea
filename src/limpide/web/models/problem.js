// What went wrong with a model, and what to do.

import { h } from "../dom.js";
import { visible } from "../visible.js";
import { t } from "../words.js";

/** Errors that have a title and an advice of their own here. */
const KNOWN = new Set(["disk_full", "download_failed", "offline_error", "licence_not_accepted", "model_not_found", "checksum_mismatch", "out_of_memory", "model_file_missing"]);

/** @param {{ message: string, code: string | null, advice?: string }} found */
export function problem(found) {
  const known = found.code !== null && KNOWN.has(found.code);
  // What it says of the command line helps nobody here.
  const said = found.message.split("\n").filter((line) => !/^(Expected|Try): /.test(line)).join("\n");
  return h("div.problem", null,
    known && h("p", null, h("strong", null, t(/** @type {any} */ (`stock_failed_${found.code}`)))),
    h("p.multi-line", null, known ? visible(said) : h("strong", null, visible(said))),
    h("p", null, known ? t(/** @type {any} */ (`stock_advice_${found.code}`)) : found.advice ?? t("tryAgain")));
}
