// An answer as it is shown, while it grows and when it is complete.

import { ApiError } from "../api.js";
import { app } from "../app.js";
import { announce } from "../clipboard.js";
import { fill, h, iconButton } from "../dom.js";
import { Prose } from "../markdown/render.js";
import { visible } from "../visible.js";
import { count, duration, t } from "../words.js";
import { branches, copyButton } from "./actions.js";
import { canGoOn } from "./asking.js";
import { receipt } from "./receipt.js";
import { Tokens } from "./tokens.js";

/**
 * @typedef {import("../conversation.js").Turn} Turn
 * @typedef {import("./actions.js").Does} Does
 */

/** An answer. */
export class AnswerView {
  /**
   * @param {Turn} turn
   * @param {Does} does
   */
  constructor(turn, does) {
    this.turn = turn;
    this.does = does;
    this.prose = new Prose();
    this.tokens = new Tokens(turn, (text, tokens) => does.goOn(turn, text, tokens));
    this.thought = h("div.thought", { dir: "auto" });
    this.thinkingLine = h("span");
    this.now = h("button.quiet.small", { type: "button", onclick: () => this.answerNow() }, t("answerNow"));
    this.thinking = h("details.thinking", { hidden: true, ontoggle: () => this.update() }, h("summary", null, this.thinkingLine), this.thought);
    this.waiting = h("p.waiting", null, h("span.drop", { "aria-hidden": "true" }), h("span"));
    this.problem = h("div.problem", { role: "alert", hidden: true });
    this.foot = h("div.turn-foot");
    this.name = h("span.model-name");
    /** @type {string | undefined} */
    this.shownModel = undefined;
    this.element = h("article.turn.answer", { "aria-label": t("answer") },
      h("header.turn-head", null, this.name), h("div.thinking-row", null, this.thinking, this.now),
      this.waiting, this.prose.element, this.tokens.element, this.problem, this.foot);
    /** The state that the foot was made for. @type {Turn["state"]} */
    this.footed = undefined;
    this.update();
  }

  /** Whether it is complete, and shown so. */
  get settled() {
    return this.footed !== undefined && this.footed === (this.turn.state ?? "done");
  }

  /** Whether it is being written, in this tab. */
  get writing() {
    return app.writings.get(this.turn.id);
  }

  update() {
    const { turn, writing } = this;
    const busy = turn.state === "writing";
    this.element.setAttribute("aria-busy", String(busy));
    if (this.shownModel !== turn.model) fill(this.name, visible(turn.model ?? ""));
    this.shownModel = turn.model;
    this.showThinking();
    const withTokens = app.settings.sure && Boolean(turn.tokens?.length);
    this.prose.element.hidden = withTokens || !turn.text;
    if (withTokens) this.tokens.update(busy, canGoOn(turn));
    else this.prose.show(turn.text);
    this.tokens.element.hidden = !withTokens;
    this.waiting.hidden = !busy || (Boolean(writing) && Boolean(turn.text || turn.thinking));
    this.waiting.lastChild.textContent = t(!writing ? "writtenElsewhere" : writing.id || app.model?.limpide.state === "loaded" ? "reading" : "loading");
    if (busy) this.clearFoot();
    else if (!this.settled) this.showFoot();
  }

  showThinking() {
    const { turn, writing } = this;
    const thinking = writing?.thinking;
    this.thinking.hidden = !turn.thinking;
    this.now.hidden = !thinking;
    if (!turn.thinking) return;
    const seconds = duration(turn.thinkingSeconds ?? (writing ? writing.seconds - (turn.firstSeconds ?? 0) : 0));
    const exact = turn.usage?.completion_tokens_details?.reasoning_tokens;
    const cut = Object.values(turn.extras?.choices ?? {}).some((/** @type {any} */ choice) => choice.thinking_truncated);
    const line = thinking
      ? t("thinkingNow", { seconds, count: count(turn.pieces ?? 0) })
      : t(exact === undefined ? "thoughtAbout" : "thoughtFor", { seconds, count: count(exact ?? turn.pieces ?? 0) }) + (cut ? ` · ${t("thinkingCut")}` : "");
    this.thinkingLine.textContent = line;
    this.thinkingLine.classList.toggle("active", Boolean(thinking));
    if (this.thinking.open && this.thought.dataset.length !== String(turn.thinking.length)) {
      this.thought.dataset.length = String(turn.thinking.length);
      fill(this.thought, visible(turn.thinking.trim()));
    }
  }

  clearFoot() {
    this.footed = undefined;
    this.problem.hidden = true;
    fill(this.foot);
  }

  showFoot() {
    this.footed = this.turn.state ?? "done";
    const { turn, does } = this;
    this.problem.hidden = !["broken", "failed"].includes(turn.state ?? "");
    if (!this.problem.hidden) fill(this.problem, this.problemWords());
    const stopped = turn.state === "stopped" && h("p.note", null, t("stoppedNote"));
    const long = turn.state === "done" && turn.finish === "length" && h("p.note", null, t("lengthNote"));
    fill(this.foot, stopped, long,
      h("div.turn-actions", null, branches(turn, does), copyButton(turn),
        iconButton("again", t("again"), () => does.again(turn)),
        (turn.state === "stopped" || turn.state === "broken" || long) && turn.text && canGoOn(turn)
          && h("button.quiet.small", { type: "button", onclick: () => does.goOn(turn, turn.text, turn.tokens ?? []) }, t("writeOn")),
        receipt(turn, does.conversation)));
  }

  problemWords() {
    const { turn } = this;
    const error = turn.error ?? { message: t("brokenByLeaving"), advice: turn.text ? t("brokenAdvice") : t("brokenAdviceEmpty") };
    return [h("p.multi-line", null, h("strong", null, t(turn.state === "broken" ? "brokenTitle" : "failedTitle")), " ", visible(error.message)),
      h("p", null, error.advice),
      h("div.actions", null, h("button.primary", { type: "button", onclick: () => this.does.again(turn) }, t("again")))];
  }

  async answerNow() {
    this.now.disabled = true;
    try {
      await this.writing?.answerNow();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      announce(error.message);
    }
    this.now.disabled = false;
  }
}
