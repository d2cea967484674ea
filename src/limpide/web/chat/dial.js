// The thinking dial, and what the chosen model can do with it.

import { app } from "../app.js";
import { h } from "../dom.js";
import { DIAL } from "../settings.js";
import { t } from "../words.js";

/** A select, with a number beside it where a budget is wanted. It is changed in place, so that it keeps the focus. */
export class Dial {
  constructor() {
    this.select = h("select.bare", { "aria-label": t("thinking"), onchange: () => app.set({ think: this.select.value }) },
      DIAL.map((position) => h("option", { value: position }, t(`dial_${position}`))));
    this.budget = h("input.budget", {
      type: "number", min: 0, max: 1000000, step: 1, required: true, "aria-label": t("budget"),
      onchange: () => this.budget.checkValidity() && app.set({ budget: Number(this.budget.value) }),
    });
    this.element = h("span.dial", null, this.select, this.budget);
    this.show();
  }

  show() {
    const none = app.model?.limpide.thinking === "none";
    const { think, budget } = app.settings;
    this.select.disabled = none;
    this.select.title = dialWords();
    this.select.value = none ? "off" : think;
    this.budget.hidden = this.select.value !== "budget";
    if (document.activeElement !== this.budget) this.budget.value = budget;
  }
}

/** What the model can do with the dial, in a sentence. */
export function dialWords() {
  const capability = app.model?.limpide.thinking;
  return t(capability ? `can_${capability}` : "can_unknown");
}
