// What the page says, in French and English.

import { en } from "./words/en.js";
import { fr } from "./words/fr.js";

/** @typedef {keyof typeof en} Word */

const language = navigator.languages.map((each) => each.slice(0, 2)).find((each) => each === "fr" || each === "en") ?? "en";

/** @type {Record<string, string>} */
const words = language === "fr" ? fr : en;

/**
 * @param {Word} word
 * @param {Record<string, string | number>} [values]  what stands in braces
 */
export function t(word, values = {}) {
  return words[word].replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

export const locale = language;

const whole = new Intl.NumberFormat(language);
const tenths = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });

/** @param {number} value */
export const count = (value) => whole.format(value);

/** @param {number} value */
export const decimal = (value) => (Math.abs(value) < 10 ? hundredths : tenths).format(value);

/** @param {number} seconds */
export const duration = (seconds) =>
  seconds < 60 ? `${decimal(seconds)} s` : `${whole.format(Math.floor(seconds / 60))} min ${whole.format(Math.round(seconds % 60))} s`;

/** @param {number} share  from 0 to 1 */
export function percent(share) {
  const digits = share > 0.1 && share < 0.995 ? 0 : share < 0.001 ? 3 : 1;
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: digits }).format(share);
}

const relative = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
/** @param {number} milliseconds */
export const moment = (milliseconds) => relative.format(new Date(milliseconds));
