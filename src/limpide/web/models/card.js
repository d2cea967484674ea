// One model: what it would take, where it is, and what can be done with it.

import { ApiError } from "../api.js";
import { app } from "../app.js";
import { announce } from "../clipboard.js";
import { fill, h } from "../dom.js";
import { stock, underWay, unknown } from "../stock.js";
import { visible, visibleText } from "../visible.js";
import { t } from "../words.js";
import { facts, tiles, whyNot } from "./facts.js";
import { bytes } from "./figures.js";
import { accept, licence } from "./licence.js";
import { Progress } from "./progress.js";
import { problem } from "./problem.js";

/**
 * @typedef {import("../stock.js").Stocked} Stocked
 * @typedef {import("../stock.js").Loaded} Loaded
 * @typedef {import("../app.js").Model} Model
 */

export class ModelCard {
  /** @param {string} name */
  constructor(name) {
    this.name = name;
    this.model = unknown(name);
    /** It, if it can be asked for. @type {Model | undefined} */
    this.offer = undefined;
    /** @type {import("../stock.js").Pull | undefined} */
    this.pull = undefined;
    this.element = h("article.card.model-card", { "data-model": name });
    /** @type {Progress | null} */
    this.progress = null;
    /** What the person was told last. @type {{ message: string, code: string | null, advice?: string } | null} */
    this.problem = null;
    /** @type {Loaded | null} */
    this.moved = null;
    this.open = false;
    this.shown = "";
  }

  /**
   * @param {Stocked} model
   * @param {Model | undefined} offer  it, if it can be asked for
   */
  show(model, offer) {
    this.model = model;
    this.offer = offer;
    this.pull = stock.pullOf(model.name);
    const moving = underWay(this.pull);
    const now = JSON.stringify([model, offer, this.pull?.state, this.pull?.error, this.problem, this.moved, app.model?.id, stock.room?.models]);
    if (now !== this.shown) {
      this.shown = now;
      this.fill(moving);
    }
    if (moving && this.pull) this.progress?.show(this.pull);
  }

  /** @param {boolean} moving */
  fill(moving) {
    const focused = this.element.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.action ?? "" : null;
    const { model } = this;
    this.progress = moving ? this.progress ?? new Progress(visibleText(model.title), () => this.cancel()) : null;
    this.element.setAttribute("aria-label", visibleText(model.title));
    this.element.classList.toggle("unfit", model.prediction !== null && !model.prediction.fits);
    fill(this.element, this.head(), tiles(model), whyNot(model, stock.room), this.progress?.element, this.failure(moving), this.outcome(moving), this.details(), this.actions(moving));
    if (focused !== null) (this.element.querySelector(`[data-action="${focused}"]:not(:disabled)`) ?? this.element.querySelector("button:not(:disabled), summary"))?.focus();
  }

  head() {
    const { model } = this;
    return h("header", null,
      h("div", null, h("h3", null, visible(model.title)), h("p.note", null, [model.title !== model.name && h("code", null, visible(model.name)), model.publisher && ` · ${model.publisher}`])),
      h(`span.state.${this.state}`, null, t(`state_${this.state}`)));
  }

  get state() {
    if (underWay(this.pull)) return "coming";
    if (this.offer) return this.offer.limpide.state;
    return this.model.here ? "here" : "away";
  }

  details() {
    const { model } = this;
    if (!model.prediction) return this.offer?.limpide.context ? facts(model, this.offer) : null;
    return h("details", { open: this.open, ontoggle: (/** @type {any} */ event) => { this.open = event.target.open; } },
      h("summary", { "data-action": "details" }, t("stock_details")), facts(model, this.offer), model.terms.map(licence));
  }

  /** @param {boolean} moving */
  failure(moving) {
    if (moving) return null;
    const found = this.problem ?? (this.pull?.state === "failed" ? this.pull.error : null);
    return found && problem(found);
  }

  /** What came of the last thing that was done. @param {boolean} moving */
  outcome(moving) {
    if (this.moved && this.offer && this.moved.state === this.offer.limpide.state) {
      const { resident_before: before, resident_after: after } = this.moved;
      if (before !== null && after !== null) return h("p.note", null, t(`stock_moved_${this.moved.state === "loaded" ? "loaded" : "unloaded"}`, { before: bytes(before), after: bytes(after) }));
    }
    if (!moving && this.pull?.state === "cancelled") return h("p.note", null, t("stock_cancelled"));
    return null;
  }

  /** @param {boolean} moving */
  actions(moving) {
    const { model, offer } = this;
    const chosen = offer && app.model?.id === offer.id;
    const state = offer?.limpide.state;
    return h("div.actions", null,
      !offer && !model.here && !moving && this.button("pull", t("stock_pull", { size: model.size_bytes === null ? "" : bytes(model.size_bytes) }), () => this.begin(false), true),
      !moving && (state === "unloaded" || (!offer && model.here)) && this.button("load", t("load"), () => this.load(), true),
      state === "loaded" && this.button("unload", t("stock_unload"), () => this.bring("unload"), true),
      offer && (chosen ? h("span.note", null, t("inUse")) : this.button("use", t("useModel"), () => { app.set({ model: offer.id }); location.hash = "#/chat"; })));
  }

  /**
   * @param {string} action
   * @param {string} words
   * @param {() => void} onclick
   * @param {boolean} [quiet]
   */
  button(action, words, onclick, quiet = false) {
    return h(quiet ? "button.quiet" : "button.primary", { type: "button", "data-action": action, "aria-label": `${words}: ${visibleText(this.model.title)}`, onclick }, words);
  }

  /** Fetch it, or have it served if it is here. @param {boolean} quietly @returns {Promise<boolean>} whether it came */
  async begin(quietly) {
    const accepted = await accept(visibleText(this.model.title), this.model.terms);
    if (accepted === null) return false;
    const ended = await this.attempt(async () => {
      const pull = await stock.pull(this.name, accepted);
      if (!quietly) announce(t("stock_pulling", { title: visibleText(this.model.title) }), false);
      return stock.ended(pull);
    });
    if (!ended) return false;
    if (ended.state === "done") await app.readModels().catch(() => {});
    if (!quietly || ended.state !== "done") announce(t(`stock_ended_${/** @type {"done" | "cancelled" | "failed"} */ (ended.state)}`, { title: visibleText(this.model.title) }));
    return ended.state === "done";
  }

  cancel() {
    const { pull } = this;
    if (pull) this.attempt(() => stock.cancel(pull));
  }

  async load() {
    if (this.offer || (await this.begin(true))) await this.bring("load");
  }

  /** @param {"load" | "unload"} what */
  async bring(what) {
    announce(t(what === "load" ? "loading" : "stock_unloading"));
    const moved = await this.attempt(() => stock.bring(what, this.offer?.id ?? this.name));
    if (!moved) return;
    this.moved = moved;
    await app.readModels().catch(() => {});
    const busy = what === "unload" && moved.state === "loaded";
    if (busy) this.tell({ message: t("stock_busy"), code: null, advice: t("stock_busyAdvice") });
    announce(busy ? t("stock_busy") : t(what === "load" ? "stock_is_loaded" : "stock_is_unloaded", { title: visibleText(this.model.title) }));
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T | null>}
   */
  async attempt(work) {
    this.tell(null);
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.tell({ message: error.message, code: error.code, advice: error.advice });
      announce(error.message);
      return null;
    }
  }

  /** @param {{ message: string, code: string | null, advice?: string } | null} found */
  tell(found) {
    this.problem = found;
    this.show(this.model, this.offer);
  }
}
