// The same question twice: to two models, or with thinking off and on.

import { app } from "../app.js";
import { chatBody } from "../chat/asking.js";
import { fill, h } from "../dom.js";
import { Prose } from "../markdown/render.js";
import { visible, visibleText } from "../visible.js";
import { count, decimal, duration, t } from "../words.js";
import { Writing } from "../writing.js";

/** @typedef {import("../conversation.js").Turn} Turn */

const POSITIONS = /** @type {const} */ (["off", "minimal", "low", "medium", "high", "max"]);

export class CompareView {
  constructor() {
    this.sides = [new Side("off", () => this.changed()), new Side("low", () => this.changed())];
    this.input = h("textarea", { rows: 3, id: "compare-question", "aria-label": t("message"), placeholder: t("comparePlaceholder"), dir: "auto" });
    this.button = h("button.primary", { type: "submit" }, t("compareAsk"));
    this.element = h("div.view", null, h("header.view-head", null, h("h1.title", null, t("view_compare"))),
      h("div.view-body.wide", null,
        h("form.compare-form", { onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); this.submit(); } },
          this.input, h("div.actions", null, h("span.note", null, t("compareNote")), this.button)),
        h("div.sides", null, this.sides.map((side) => side.element))));
    document.title = `${t("view_compare")} · Limpide`;
    this.leaving = new AbortController();
    app.addEventListener("models", () => this.sides.forEach((side) => side.showModels()), { signal: this.leaving.signal });
    requestAnimationFrame(() => this.input.focus());
  }

  leave() {
    this.leaving.abort();
    for (const side of this.sides) side.writing?.stop();
  }

  get writing() {
    return this.sides.some((side) => side.writing);
  }

  changed() {
    this.button.textContent = this.writing ? t("stop") : t("compareAsk");
  }

  submit() {
    if (this.writing) return this.sides.forEach((side) => side.writing?.stop());
    const question = this.input.value.trim();
    if (question) for (const side of this.sides) side.ask(question);
    this.changed();
  }
}

/** One of the two. */
class Side {
  /**
   * @param {string} dial
   * @param {() => void} changed
   */
  constructor(dial, changed) {
    this.changed = changed;
    /** @type {Writing | null} */
    this.writing = null;
    this.frame = 0;
    this.model = h("select", { "aria-label": t("model") });
    this.dial = h("select", { "aria-label": t("thinking") }, POSITIONS.map((position) => h("option", { value: position, selected: position === dial }, t(`dial_${position}`))));
    this.prose = new Prose();
    this.thought = h("div.thought");
    this.thinking = h("details.thinking", { hidden: true }, h("summary", null, t("thinking")), this.thought);
    this.figures = h("dl.figures", { "aria-live": "off" });
    this.problem = h("p.problem.multi-line", { role: "alert", hidden: true });
    this.element = h("section.card.side", { "aria-label": t("answer") }, h("div.side-head", null, this.model, this.dial), this.figures, this.thinking, this.prose.element, this.problem);
    this.showModels();
  }

  showModels() {
    const chosen = this.model.value || app.model?.id;
    fill(this.model, app.models.map((model) => h("option", { value: model.id, selected: model.id === chosen }, visibleText(model.id))));
  }

  /** @param {string} question */
  async ask(question) {
    /** @type {Turn} */
    const turn = { id: "", parent: null, role: "assistant", text: "", created: Date.now() };
    this.turn = turn;
    this.problem.hidden = true;
    const system = app.settings.system.trim() ? [{ role: "system", content: app.settings.system }] : [];
    const none = app.models.find((model) => model.id === this.model.value)?.limpide.thinking === "none";
    const body = chatBody({ model: this.model.value, think: none ? undefined : this.dial.value, logprobs: undefined, top_logprobs: undefined });
    this.writing = new Writing(turn, () => (this.frame ||= requestAnimationFrame(() => this.show())));
    this.show();
    await this.writing.run("v1/chat/completions", { ...body, messages: [...system, { role: "user", content: question }] });
    this.writing = null;
    this.show();
    this.changed();
  }

  show() {
    this.frame = 0;
    const turn = /** @type {Turn} */ (this.turn);
    this.prose.show(turn.text);
    this.thinking.hidden = !turn.thinking;
    fill(this.thought, visible(turn.thinking ?? ""));
    this.problem.hidden = !turn.error;
    if (turn.error) fill(this.problem, visible(turn.error.message), " ", turn.error.advice);
    fill(this.figures, this.rows(turn).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
  }

  /** @param {Turn} turn */
  rows(turn) {
    const { usage } = turn;
    const decode = turn.extras?.choices?.["0"]?.decode_seconds;
    const generated = usage?.completion_tokens;
    return [
      [t("time"), duration(turn.seconds ?? this.writing?.seconds ?? 0)],
      [t("toFirst"), turn.firstSeconds === undefined ? "…" : duration(turn.firstSeconds)],
      [t("thinkingTokens"), usage ? count(usage.completion_tokens_details.reasoning_tokens) : "…"],
      [t("answerTokensOnly"), usage ? count(generated - usage.completion_tokens_details.reasoning_tokens) : `≈ ${count(turn.pieces ?? 0)}`],
      [t("speed"), decode && generated > 1 ? t("perSecond", { rate: decimal((generated - 1) / decode) }) : "…"],
    ];
  }
}
