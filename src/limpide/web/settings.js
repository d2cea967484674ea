// How answers are asked for: the model, the dial and the sampling, remembered by this browser.

/**
 * @typedef {{
 *   model: string | null, think: string, budget: number, system: string,
 *   temperature: number | null, top_p: number | null, top_k: number | null, min_p: number | null,
 *   repetition_penalty: number | null, frequency_penalty: number | null, presence_penalty: number | null,
 *   max_tokens: number | null, seed: number | null, stop: string, sure: boolean, alternatives: number, theme: string,
 * }} Settings
 */

const PLACE = "limpide.settings";

/** @type {Settings} */
export const DEFAULTS = {
  model: null, think: "off", budget: 512, system: "",
  temperature: 0.7, top_p: null, top_k: null, min_p: null,
  repetition_penalty: null, frequency_penalty: null, presence_penalty: null,
  max_tokens: null, seed: null, stop: "", sure: false, alternatives: 5, theme: "system",
};

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

/** @returns {Settings} */
export function readSettings() {
  try {
    const kept = JSON.parse(localStorage.getItem(PLACE) ?? "{}");
    const known = Object.entries(DEFAULTS).filter(([name, value]) => value === null || typeof kept[name] === typeof value);
    return { ...DEFAULTS, ...Object.fromEntries(known.filter(([name]) => name in kept).map(([name]) => [name, kept[name]])) };
  } catch {
    return { ...DEFAULTS };
  }
}

/** @param {Settings} settings */
export function keepSettings(settings) {
  try {
    localStorage.setItem(PLACE, JSON.stringify(settings));
  } catch {
    // A browser that keeps nothing still works, for as long as the page is open.
  }
}

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
