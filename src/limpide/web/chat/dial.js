// The thinking dial, and what the chosen model can do with it.

import { app } from "../app.js";
import { h } from "../dom.js";
import { t } from "../words.js";

const POSITIONS = /** @type {const} */ (["off", "minimal", "low", "medium", "high", "max", "budget"]);

/** A select for the dial, with a number beside it where that is wanted. */
export function dialSelect() {
  const none = app.model?.limpide.thinking === "none";
  const { settings } = app;
  const select = h("select.bare", {
    "aria-label": t("thinking"), disabled: none, title: dialWords(),
    onchange: () => app.set({ think: select.value }),
  }, POSITIONS.map((position) => h("option", { value: position, selected: (none ? "off" : settings.think) === position }, t(`dial_${position}`))));
  if (none || settings.think !== "budget") return [select];
  const budget = h("input.budget", {
    type: "number", min: 0, max: 1000000, step: 1, value: settings.budget, "aria-label": t("budget"),
    onchange: () => budget.checkValidity() && budget.value !== "" && app.set({ budget: Number(budget.value) }),
  });
  return [select, budget];
}

/** What the model can do with the dial, in a sentence. */
export function dialWords() {
  const capability = app.model?.limpide.thinking;
  return t(capability ? `can_${capability}` : "can_unknown");
}
