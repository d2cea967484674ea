// What an answer cost, if the person says what an hour of the machine, or a million tokens, costs them.

import { h } from "../dom.js";
import { app } from "../app.js";
import { PRICES } from "../settings.js";
import { locale, t } from "../words.js";

const HOUR = 3600;
const MILLION = 1e6;

/**
 * In the currency that the price is in. An hour's price counts the time until the end; a million tokens' price counts
 * those that were generated, as thinking is.
 * @param {{ price: number | null, priceOf: string }} settings
 * @param {number} seconds
 * @param {number} tokens
 */
export function costOf({ price, priceOf }, seconds, tokens) {
  if (price === null) return null;
  return priceOf === "hour" ? (price * seconds) / HOUR : (price * tokens) / MILLION;
}

const small = new Intl.NumberFormat(locale, { maximumSignificantDigits: 2, maximumFractionDigits: 20 });
const large = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** @param {number} cost */
export const costWords = (cost) => (cost < 0.1 ? small : large).format(cost);

/** Where the price is set. */
export function priceFields() {
  const price = h("input.price", {
    id: "price", type: "number", min: 0, max: 1e9, step: "any", value: app.settings.price ?? "", placeholder: t("noPrice"),
    oninput: () => price.checkValidity() && app.set({ price: price.value === "" ? null : Number(price.value) }),
  });
  const unit = h("select.bare", { "aria-label": t("priceOf"), onchange: () => app.set({ priceOf: unit.value }) },
    PRICES.map((each) => h("option", { value: each, selected: each === app.settings.priceOf }, t(`price_${each}`))));
  return h("div.price-fields", { title: t("priceNote") }, h("label", { for: "price" }, t("price")), price, unit);
}
