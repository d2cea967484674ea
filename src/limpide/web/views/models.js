// The models that this server has.

import { ApiError, json } from "../api.js";
import { app } from "../app.js";
import { announce } from "../clipboard.js";
import { fill, h } from "../dom.js";
import { visible } from "../visible.js";
import { count, t } from "../words.js";

const EVERY = 3000;

export class ModelsView {
  constructor() {
    this.list = h("div.cards");
    this.element = h("div.view", null, h("header.view-head", null, h("h1.title", null, t("view_models"))),
      h("div.view-body", null, h("p.lead", null, t("modelsLead")), this.list));
    document.title = `${t("view_models")} · Limpide`;
    this.leaving = new AbortController();
    app.addEventListener("models", () => this.show(), { signal: this.leaving.signal });
    this.timer = setInterval(() => app.readModels().catch(() => {}), EVERY);
    this.shown = "";
    this.show();
  }

  leave() {
    clearInterval(this.timer);
    this.leaving.abort();
  }

  show() {
    const now = JSON.stringify([app.models, app.settings.model]);
    if (now === this.shown) return;
    this.shown = now;
    fill(this.list, app.models.map((model) => this.card(model)));
  }

  /** @param {import("../app.js").Model} model */
  card(model) {
    const facts = model.limpide;
    const use = app.model?.id === model.id;
    return h("section.card.model-card", { "aria-label": model.id },
      h("header", null, h("h2", null, visible(model.id)), h(`span.state.${facts.state}`, null, t(`state_${facts.state}`))),
      facts.context === null ? h("p.note", null, t("knownOnceLoaded")) : h("dl", null,
        row(t("architecture"), facts.architecture), row(t("context"), t("tokens", { count: count(facts.context) })),
        row(t("thinking"), facts.thinking && t(`can_${facts.thinking}`)), row(t("chatable"), t(facts.chat ? "yes" : "noChat")),
        row(t("tools"), facts.tools ?? t("no")), row(t("licence"), facts.licence ?? t("unknown")), row(t("numerics"), facts.numerics)),
      h("div.actions", null,
        facts.state === "unloaded" && h("button.quiet", { type: "button", onclick: () => this.load(model.id) }, t("load")),
        use ? h("span.note", null, t("inUse")) : h("button.primary", { type: "button", onclick: () => { app.set({ model: model.id }); location.hash = "#/chat"; } }, t("useModel"))));
  }

  /**
   * Whatever asks for a model loads it; the smallest question does.
   * @param {string} model
   */
  async load(model) {
    announce(t("loading"));
    const asked = json("tokenize", { model, text: "" });
    setTimeout(() => app.readModels().catch(() => {}), 200);
    try {
      await asked;
      await app.readModels();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      announce(`${error.message} ${error.advice}`);
    }
  }
}

/**
 * @param {string} name
 * @param {string | null} value
 */
const row = (name, value) => [h("dt", null, name), h("dd", null, visible(value ?? "—"))];
