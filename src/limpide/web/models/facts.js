// What is known of a model: four figures to compare, and the rest below.

import { h } from "../dom.js";
import { visible } from "../visible.js";
import { count, t } from "../words.js";
import { plain } from "../words/plain.js";
import { bytes, many, range } from "./figures.js";

/**
 * @typedef {import("../stock.js").Stocked} Stocked
 * @typedef {import("../app.js").Model} Model
 */

/** @param {Stocked} model */
export function tiles(model) {
  const found = model.prediction;
  if (!found) return null;
  const about = model.size_is_estimate ? "≈ " : "";
  return h("dl.tiles", null,
    tile(t(model.here ? "stock_onDisk" : "stock_download"), model.size_bytes === null ? "—" : about + bytes(model.size_bytes)),
    tile(t("stock_memory"), `≈ ${bytes(found.memory_bytes)}`, found.fits ? t("stock_fits") : t("stock_fitsNot"), found.fits ? "good" : "bad"),
    tile(t("speed"), found.generation ? t("perSecond", { rate: range(found.generation) }) : "—", found.generation && found.slowed.length ? t("stock_slow") : "", "bad"),
    tile(t("licence"), model.terms.length ? visible(model.terms[0].spdx.replace(/^LicenseRef-/, "")) : t("stock_unknownTerms"), model.terms.length ? t(`stock_money_${strictest(model)}`) : "", strictest(model) === "yes" ? "good" : "bad"));
}

/** @param {Stocked} model */
export const strictest = ({ terms }) =>
  /** @type {const} */ (["no", "limited"]).find((kind) => terms.some(({ commercial }) => commercial === kind)) ?? "yes";

/**
 * @param {string} name
 * @param {any} value
 * @param {string} [more]
 * @param {"good" | "bad"} [kind]
 */
const tile = (name, value, more = "", kind = "good") =>
  h("div", null, h("dt", null, name), h("dd", null, value, more && h(`span.verdict.${kind}`, null, more)));

/**
 * @param {Stocked} model
 * @param {import("../stock.js").Room | null} room
 */
export function whyNot({ prediction }, room) {
  if (!prediction || prediction.fits || !room) return null;
  return h("p.note", null, t("stock_whyNot", { need: bytes(prediction.memory_bytes), room: bytes(room.models) }));
}

/**
 * @param {Stocked} model
 * @param {Model | undefined} offer
 */
export function facts(model, offer) {
  const known = offer?.limpide;
  const found = model.prediction;
  const context = known?.context ?? model.context;
  const thinking = known?.thinking ?? model.thinking;
  const chat = known?.chat ?? model.chat;
  return h("dl.facts", null,
    row(t("stock_parameters"), model.parameters && [many(model.parameters), model.stored && ` · ${model.stored}`]),
    row(t("context"), context && t("tokens", { count: count(context) })),
    row(t("thinking"), thinking && t(/** @type {any} */ (`can_${thinking}`))),
    row(t("chatable"), chat === null ? null : t(chat ? "yes" : "noChat")),
    row(t("tools"), known?.state === "loaded" ? known.tools ?? t("no") : null),
    row(t("licence"), !model.terms.length ? known?.licence ?? t("stock_noTerms") : null),
    row(t("architecture"), known?.architecture),
    row(t("numerics"), known?.numerics),
    row(t("stock_memory"), found && memory(found)),
    row(t("stock_prompts"), found?.prompt && t("perSecond", { rate: range(found.prompt) })),
    row(t("stock_slowWhy"), found?.slowed.length ? found.slowed.map(plain).join(", ") : null),
    row(t("stock_note"), model.note && plain(model.note)));
}

/** @param {import("../stock.js").Prediction} found */
const memory = (found) =>
  t(found.cache_bytes === null ? "stock_memoryUnknown" : "stock_memoryParts", {
    weights: bytes(found.weights_bytes), cache: bytes(found.cache_bytes ?? 0), context: count(found.context),
    rest: bytes(found.memory_bytes - found.weights_bytes - (found.cache_bytes ?? 0)),
  });

/**
 * @param {string} name
 * @param {any} value
 */
const row = (name, value) => (value ? [h("dt", null, name), h("dd", null, typeof value === "string" ? visible(value) : value)] : null);
