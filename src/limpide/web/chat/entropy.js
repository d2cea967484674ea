// Entropy along an answer: where the model hesitated.

import { h, svg } from "../dom.js";
import { decimal, t } from "../words.js";

/** @typedef {import("../conversation.js").Token} Token */

const WIDTH = 640;
const HEIGHT = 36;
const MOST_POINTS = 320;

/**
 * Bits of entropy at a token, at least: what is beyond the alternatives we know counts as one more of them.
 * @param {Token} token
 */
export function entropy(token) {
  const known = token.top.map((each) => Math.exp(each.logprob));
  const rest = Math.max(0, 1 - known.reduce((sum, chance) => sum + chance, 0));
  return [...known, rest].reduce((sum, chance) => sum - (chance > 0 ? chance * Math.log2(chance) : 0), 0);
}

/** @param {Token[]} tokens */
export function entropyLine(tokens) {
  const all = tokens.filter((token) => token.top.length).map(entropy);
  if (all.length < 2) return null;
  const values = thinned(all);
  const top = Math.max(1, ...values);
  const points = values.map((value, at) => `${(at / (values.length - 1)) * WIDTH},${HEIGHT - (value / top) * (HEIGHT - 2) - 1}`);
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  const words = t("entropyWords", { mean: decimal(mean), top: decimal(Math.max(...all)) });
  return h("figure", null,
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": words },
      svg("polyline", { points: points.join(" "), "vector-effect": "non-scaling-stroke" })),
    h("figcaption", null, words));
}

/**
 * Few enough to draw; of each stretch the highest, since the peaks are what one looks for.
 * @param {number[]} values
 */
function thinned(values) {
  const size = Math.ceil(values.length / MOST_POINTS);
  return Array.from({ length: Math.ceil(values.length / size) }, (_, at) => Math.max(...values.slice(at * size, (at + 1) * size)));
}
