// Bytes and speeds, as people read them.

import { locale } from "../words.js";

/** @param {"megabyte" | "gigabyte"} unit @param {number} digits */
const format = (unit, digits) => new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: digits });
const megabytes = format("megabyte", 0);
const gigabytes = format("gigabyte", 1);

/** Powers of ten, as disks are sold. @param {number} count */
export const bytes = (count) => (count >= 999.5e6 ? gigabytes.format(count / 1e9) : megabytes.format(count / 1e6));

const two = new Intl.NumberFormat(locale, { maximumSignificantDigits: 2 });

/** Two digits: more would promise too much. @param {import("../stock.js").Range} speed */
export function range(speed) {
  const [low, high] = [two.format(speed.low), two.format(speed.high)];
  return low === high ? low : `${low}–${high}`;
}

const billions = new Intl.NumberFormat(locale, { notation: "compact", maximumSignificantDigits: 3 });

/** @param {number} parameters */
export const many = (parameters) => billions.format(parameters);
