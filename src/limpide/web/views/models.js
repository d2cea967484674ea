// The models: what is here, what could be, and what fits.

import { app } from "../app.js";
import { fill, h } from "../dom.js";
import { ModelCard } from "../models/card.js";
import { strictest } from "../models/facts.js";
import { bytes } from "../models/figures.js";
import { stock, underWay, unknown } from "../stock.js";
import { count, t } from "../words.js";

/** @typedef {import("../stock.js").Stocked} Stocked */

/** What is looked for, also when one comes back to this view. */
const wanted = { words: "", fits: false, commercial: false };

export class ModelsView {
  constructor() {
    /** @type {Map<string, ModelCard>} */
    this.cards = new Map();
    this.room = h("section.room", { "aria-label": t("stock_memory"), hidden: true });
    this.problem = h("p.problem", { role: "status", hidden: true });
    this.here = h("div.cards");
    this.others = h("div.cards");
    this.found = h("p.note", { role: "status" });
    this.rest = h("section.catalog", { "aria-labelledby": "others-title", hidden: true },
      h("h2", { id: "others-title" }, t("stock_others")), this.filter(), this.found, this.others, this.other());
    this.element = h("div.view", null, h("header.view-head", null, h("h1.title", null, t("view_models"))),
      h("div.view-body.wide", null, h("p.lead", null, t("modelsLead")), this.problem, this.room,
        h("section.catalog", { "aria-labelledby": "here-title" }, h("h2", { id: "here-title" }, t("stock_here")), this.here), this.rest));
    document.title = `${t("view_models")} · Limpide`;
    this.leaving = new AbortController();
    const { signal } = this.leaving;
    for (const [place, event] of /** @type {const} */ ([[app, "models"], [app, "settings"], [stock, "change"]])) place.addEventListener(event, () => this.show(), { signal });
    this.unwatch = stock.watch();
    this.show();
  }

  leave() {
    this.unwatch();
    this.leaving.abort();
  }

  filter() {
    const search = h("input", { type: "search", value: wanted.words, "aria-label": t("stock_search"), placeholder: t("stock_search"), oninput: () => { wanted.words = search.value; this.show(); } });
    const check = (/** @type {"fits" | "commercial"} */ name) => {
      const box = h("input", { type: "checkbox", checked: wanted[name], onchange: () => { wanted[name] = box.checked; this.show(); } });
      return h("label.check", null, box, h("span", null, t(`stock_only_${name}`)));
    };
    return h("div.filter", { role: "search" }, search, check("fits"), check("commercial"));
  }

  /** Any repository of the hub, by name. */
  other() {
    const input = h("input", { id: "hub-name", required: true, pattern: "hf:[\\w.\\-]+/.+", placeholder: "hf:org/name", autocomplete: "off", spellcheck: "false", title: "hf:org/name, hf:org/name:Q8_0" });
    const pull = (/** @type {Event} */ event) => {
      event.preventDefault();
      const name = input.value.trim();
      const card = this.card(unknown(name));
      fill(this.others, ...this.others.children, card.element);
      input.value = "";
      card.begin(false);
    };
    return h("form.hub-form", { onsubmit: pull }, h("label", { for: "hub-name" }, t("stock_hub")),
      h("div.hub-row", null, input, h("button.quiet", { type: "submit" }, t("stock_pull", { size: "" }))), h("p.note", null, t("stock_hubNote")));
  }

  show() {
    this.rest.hidden = !stock.models.length;
    this.problem.hidden = !stock.problem;
    if (stock.problem) fill(this.problem, `${stock.problem.message} ${stock.problem.advice}`);
    this.showRoom();
    const models = this.models();
    const offers = new Map(app.models.map((model) => [model.id, model]));
    const here = models.filter((model) => model.here || offers.has(model.name));
    const others = models.filter((model) => !here.includes(model));
    const fitting = others.filter((model) => this.cards.get(model.name)?.problem || underWay(stock.pullOf(model.name)) || matches(model));
    place(this.here, here.map((model) => this.card(model, offers.get(model.name)).element));
    place(this.others, fitting.map((model) => this.card(model).element));
    const words = t("stock_found", { shown: count(fitting.length), all: count(others.length) });
    if (this.found.textContent !== words) this.found.textContent = words;
  }

  /** Those of the catalog, those that this server has besides, and those that are on their way. @returns {Stocked[]} */
  models() {
    const known = new Set(stock.models.map(({ name }) => name));
    const served = app.models.filter(({ id }) => !known.has(id)).map(({ id }) => ({ ...unknown(id), here: true }));
    const names = new Set([...known, ...app.models.map(({ id }) => id)]);
    const coming = new Set([...stock.pulls.filter(underWay).map(({ model }) => model), ...this.cards.keys()]);
    return [...served, ...stock.models, ...[...coming].filter((name) => !names.has(name)).map(unknown)];
  }

  /**
   * @param {Stocked} model
   * @param {import("../app.js").Model} [offer]
   */
  card(model, offer) {
    const card = this.cards.get(model.name) ?? new ModelCard(model.name);
    this.cards.set(model.name, card);
    card.show(model, offer);
    return card;
  }

  showRoom() {
    const { room } = stock;
    this.room.hidden = !room;
    if (!room) return;
    const used = room.total - room.available;
    fill(this.room, h("meter", { min: 0, max: room.total, value: used, "aria-label": t("stock_used", { used: bytes(used), total: bytes(room.total) }) }),
      h("p.note", null, [t("stock_used", { used: bytes(used), total: bytes(room.total) }), t("stock_resident", { size: bytes(room.resident) }), t("stock_budget", { size: bytes(room.models) })].join(" · ")));
  }
}

/** @param {Stocked} model */
function matches(model) {
  if (wanted.fits && model.prediction && !model.prediction.fits) return false;
  if (wanted.commercial && strictest(model) === "no") return false;
  const text = `${model.name} ${model.title} ${model.publisher ?? ""} ${model.terms.map(({ spdx, name }) => `${spdx} ${name}`).join(" ")}`.toLowerCase();
  return wanted.words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/**
 * Have an element hold these, in this order, and move none that is in its place: what moves loses the focus.
 * @param {HTMLElement} parent
 * @param {HTMLElement[]} children
 */
function place(parent, children) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  for (const child of [...parent.children]) if (!children.includes(/** @type {HTMLElement} */ (child))) child.remove();
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  if (focused && focused !== document.activeElement && parent.contains(focused)) focused.focus();
}
