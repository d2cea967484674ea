// The same question twice: to two models, or with thinking off and on.

import { app } from "../app.js";
import { priceFields } from "../chat/cost.js";
import { h } from "../dom.js";
import { t } from "../words.js";
import { Side } from "./side.js";

export class CompareView {
  constructor() {
    this.sides = [new Side("off"), new Side("low")];
    this.asking = false;
    this.stopping = false;
    this.input = h("textarea", {
      rows: 3, id: "compare-question", "aria-label": t("message"), placeholder: t("comparePlaceholder"), dir: "auto",
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
    });
    this.button = h("button.primary", { type: "submit" }, t("compareAsk"));
    this.element = h("div.view", null, h("header.view-head", null, h("h1.title", null, t("view_compare"))),
      h("div.view-body.wide", null,
        h("form.compare-form", { onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); this.submit(); } },
          this.input, h("div.actions", null, priceFields(), this.button)),
        h("p.note", null, t("compareNote")),
        h("div.sides", null, this.sides.map((side) => side.element))));
    document.title = `${t("view_compare")} · Limpide`;
    this.leaving = new AbortController();
    const { signal } = this.leaving;
    app.addEventListener("models", () => this.sides.forEach((side) => side.showModels()), { signal });
    app.addEventListener("settings", () => this.sides.forEach((side) => side.show()), { signal });
    requestAnimationFrame(() => this.input.focus());
  }

  leave() {
    this.leaving.abort();
    this.stop();
  }

  stop() {
    this.stopping = true;
    for (const side of this.sides) side.writing?.stop();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!this.asking) this.submit();
  }

  /** Ask one after the other: together they would share the machine, and neither time would be its own. */
  async submit() {
    if (this.asking) return this.stop();
    const question = this.input.value.trim();
    if (!question) return;
    this.show(true);
    for (const side of this.sides) side.wait();
    for (const side of this.sides) if (!this.stopping) await side.ask(question);
    for (const side of this.sides) side.rest();
    this.show(false);
  }

  /** @param {boolean} asking */
  show(asking) {
    this.asking = asking;
    this.stopping = false;
    this.button.textContent = t(asking ? "stop" : "compareAsk");
  }
}
