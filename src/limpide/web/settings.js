// How answers are asked for: the model, the dial and the sampling, remembered by this browser.

import { local } from "./storage.js";

/**
 * @typedef {{
 *   model: string | null, think: string, budget: number, system: string,
 *   temperature: number | null, top_p: number | null, top_k: number | null, min_p: number | null,
 *   repetition_penalty: number | null, frequency_penalty: number | null, presence_penalty: number | null,
 *   max_tokens: number | null, seed: number | null, stop: string, sure: boolean, alternatives: number,
 *   price: number | null, priceOf: string, theme: string,
 * }} Settings
 */

/** Their place in the browser's storage. */
export const SETTINGS = "limpide.settings";

/** @type {Settings} */
export const DEFAULTS = {
  model: null, think: "off", budget: 512, system: "",
  temperature: 0.7, top_p: null, top_k: null, min_p: null,
  repetition_penalty: null, frequency_penalty: null, presence_penalty: null,
  max_tokens: null, seed: null, stop: "", sure: false, alternatives: 5,
  price: null, priceOf: "hour", theme: "system",
};

export const DIAL = /** @type {const} */ (["off", "minimal", "low", "medium", "high", "max", "budget"]);
/** What a price may be of: an hour of the machine, or a million generated tokens. */
export const PRICES = /** @type {const} */ (["hour", "million"]);
export const THEMES = /** @type {const} */ (["system", "light", "dark"]);

/** The numbers of the sampling, with the bounds that the API has. */
export const NUMBERS = /** @type {const} */ ([
  { name: "temperature", min: 0, max: 100, step: 0.1 },
  { name: "top_p", min: 0.01, max: 1, step: 0.01 },
  { name: "top_k", min: 0, max: 2147483647, step: 1 },
  { name: "min_p", min: 0, max: 1, step: 0.01 },
  { name: "repetition_penalty", min: 0.1, max: 100, step: 0.05 },
  { name: "frequency_penalty", min: -2, max: 2, step: 0.1 },
  { name: "presence_penalty", min: -2, max: 2, step: 0.1 },
  { name: "max_tokens", min: 1, max: 2147483647, step: 1 },
  { name: "seed", min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 },
]);

/** @param {number} min @param {number} max @returns {(value: unknown) => boolean} */
const within = (min, max) => (value) => typeof value === "number" && value >= min && value <= max;
/** @param {readonly string[]} names @returns {(value: unknown) => boolean} */
const among = (names) => (value) => names.includes(/** @type {string} */ (value));

/** Which values a setting has; those that are null by default may be null beside. @type {Record<string, (value: unknown) => boolean>} */
const FITS = {
  model: (value) => typeof value === "string", system: (value) => typeof value === "string", stop: (value) => typeof value === "string",
  sure: (value) => typeof value === "boolean", think: among(DIAL), priceOf: among(PRICES), theme: among(THEMES),
  budget: within(0, 1_000_000), alternatives: within(1, 20), price: within(0, 1e9),
  ...Object.fromEntries(NUMBERS.map(({ name, min, max, step }) => [name, (/** @type {unknown} */ value) => within(min, max)(value) && (step < 1 || Number.isInteger(value))])),
};

/**
 * What is kept and still makes sense; the rest is as by default.
 * @returns {Settings}
 */
export function readSettings() {
  const fits = (/** @type {[string, unknown]} */ [name, value]) =>
    name in DEFAULTS && ((value === null && DEFAULTS[/** @type {keyof Settings} */ (name)] === null) || FITS[name](value));
  try {
    const kept = JSON.parse(local.get(SETTINGS) ?? "{}");
    return { ...DEFAULTS, ...Object.fromEntries(Object.entries(kept).filter(fits)) };
  } catch {
    return { ...DEFAULTS };
  }
}

/** @param {Settings} settings */
export const keepSettings = (settings) => local.set(SETTINGS, JSON.stringify(settings));

/**
 * The sampling as fields of a request; what is left empty is the server's to choose.
 * @param {Settings} settings
 * @returns {Record<string, unknown>}
 */
export function samplingOf(settings) {
  const numbers = NUMBERS.map(({ name }) => [name, settings[name]]).filter(([, value]) => value !== null);
  const stop = settings.stop.split("\n").filter(Boolean).slice(0, 16);
  return { ...Object.fromEntries(numbers), ...(stop.length && { stop }) };
}

/**
 * The dial as a field of a request.
 * @param {Settings} settings
 * @returns {string | number}
 */
export const dialOf = (settings) => (settings.think === "budget" ? settings.budget : settings.think);
