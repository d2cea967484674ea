// One of two answers that stand side by side.

import { app } from "../app.js";
import { chatBody } from "../chat/asking.js";
import { costOf, costWords } from "../chat/cost.js";
import { addTurn, messagesTo, newConversation } from "../conversation.js";
import { fill, h } from "../dom.js";
import { Prose } from "../markdown/render.js";
import { DIAL } from "../settings.js";
import { visible, visibleText } from "../visible.js";
import { count, decimal, duration, t } from "../words.js";
import { Writing } from "../writing.js";

/** @typedef {import("../conversation.js").Turn} Turn */

const POSITIONS = DIAL.filter((position) => position !== "budget");

export class Side {
  /** @param {string} dial  where it stands at first */
  constructor(dial) {
    /** @type {Writing | null} */
    this.writing = null;
    /** @type {Turn | null} */
    this.turn = null;
    this.frame = 0;
    this.model = h("select", { "aria-label": t("model"), onchange: () => this.showDial() });
    this.dial = h("select", { "aria-label": t("thinking") }, POSITIONS.map((position) => h("option", { value: position, selected: position === dial }, t(`dial_${position}`))));
    this.prose = new Prose();
    this.thought = h("div.thought");
    this.thinking = h("details.thinking", { hidden: true, ontoggle: () => this.show() }, h("summary", null, t("thinking")), this.thought);
    this.figures = h("dl.figures", { "aria-live": "off" });
    this.note = h("p.note", { hidden: true });
    this.problem = h("p.problem.multi-line", { role: "alert", hidden: true });
    this.element = h("section.card.side", { "aria-label": t("answer") },
      h("div.side-head", null, this.model, this.dial), this.figures, this.note, this.thinking, this.prose.element, this.problem);
    this.showModels();
  }

  showModels() {
    const chosen = this.model.value || app.model?.id;
    fill(this.model, app.models.map((model) => h("option", { value: model.id, selected: model.id === chosen }, visibleText(model.id))));
    this.showDial();
  }

  showDial() {
    this.dial.disabled = this.thinks === "none";
    if (this.dial.disabled) this.dial.value = "off";
  }

  get thinks() {
    return app.models.find((model) => model.id === this.model.value)?.limpide.thinking;
  }

  /** It is asked when the other is done: each has the machine to itself. */
  wait() {
    this.turn = null;
    this.note.textContent = t("compareWaits");
    this.note.hidden = false;
    this.show();
  }

  /** It waits no more. */
  rest() {
    this.note.hidden = true;
  }

  /**
   * Ask, until the answer is there. Never throws.
   * @param {string} question
   */
  async ask(question) {
    this.rest();
    const conversation = newConversation();
    const asked = addTurn(conversation, { parent: null, role: "user", text: question });
    const messages = messagesTo(conversation, asked.id, app.settings.system);
    const turn = addTurn(conversation, { parent: asked.id, role: "assistant", text: "" });
    const { think: _, logprobs: __, top_logprobs: ___, ...body } = /** @type {any} */ (chatBody());
    const dial = this.thinks === "none" ? {} : { think: this.dial.value };
    this.turn = turn;
    this.writing = new Writing(conversation, turn, () => (this.frame ||= requestAnimationFrame(() => this.show())));
    this.show();
    await this.writing.run("v1/chat/completions", () => ({ ...body, ...dial, model: this.model.value, messages }));
    this.writing = null;
    this.show();
  }

  show() {
    this.frame = 0;
    const { turn } = this;
    this.prose.show(turn?.text ?? "");
    this.thinking.hidden = !turn?.thinking;
    if (this.thinking.open) fill(this.thought, visible(turn?.thinking ?? ""));
    this.problem.hidden = !turn?.error;
    if (turn?.error) fill(this.problem, visible(turn.error.message), " ", turn.error.advice);
    fill(this.figures, turn && this.rows(turn).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
  }

  /** @param {Turn} turn */
  rows(turn) {
    const seconds = turn.seconds ?? this.writing?.seconds ?? 0;
    const generated = turn.usage?.completion_tokens ?? turn.pieces ?? 0;
    const thought = turn.usage?.completion_tokens_details?.reasoning_tokens ?? 0;
    const decode = turn.extras?.choices?.["0"]?.decode_seconds;
    const cost = costOf(app.settings, seconds, generated);
    const known = Boolean(turn.usage);
    return [
      [t("thinkingTokens"), known ? count(thought) : "…"],
      [t("answerTokensOnly"), known ? count(generated - thought) : `≈ ${count(generated)}`],
      [t("time"), duration(seconds)],
      [t("toFirst"), turn.firstSeconds === undefined ? "…" : duration(turn.firstSeconds)],
      [t("speed"), decode && generated > 1 ? t("perSecond", { rate: decimal((generated - 1) / decode) }) : "…"],
      [t("cost"), cost === null ? t("noPrice") : costWords(cost)],
    ];
  }
}
