// One turn as it is shown: a question, or an answer that may still be growing.

import { ApiError } from "../api.js";
import { app } from "../app.js";
import { announce, copyText } from "../clipboard.js";
import { alternatives } from "../conversation.js";
import { fill, h, icon, iconButton } from "../dom.js";
import { Prose } from "../markdown/render.js";
import { visible, visibleText } from "../visible.js";
import { count, duration, t } from "../words.js";
import { canGoOn } from "./asking.js";
import { receipt } from "./receipt.js";
import { Tokens } from "./tokens.js";

/**
 * @typedef {import("../conversation.js").Turn} Turn
 * @typedef {import("../conversation.js").Conversation} Conversation
 * @typedef {{
 *   conversation: Conversation, again: (turn: Turn) => void, edit: (turn: Turn, text: string) => void,
 *   goTo: (turn: Turn) => void, goOn: (turn: Turn, text: string, tokens: import("../conversation.js").Token[]) => void,
 * }} Does
 */

/** A question. */
export class QuestionView {
  /**
   * @param {Turn} turn
   * @param {Does} does
   */
  constructor(turn, does) {
    this.turn = turn;
    this.does = does;
    this.element = h("article.turn.question", { "aria-label": t("you") });
    this.show();
  }

  show() {
    const { turn } = this;
    const files = (turn.files ?? []).map((file) => h("details.file", null,
      h("summary", null, icon("file"), h("bdi", null, visibleText(file.name))), h("pre", { tabindex: 0 }, visible(file.text))));
    fill(this.element, files, turn.text && h("div.bubble", { dir: "auto" }, visible(turn.text)),
      h("div.turn-actions", null, branches(turn, this.does),
        iconButton("edit", t("edit"), () => this.edit()), copyButton(turn)));
  }

  edit() {
    const input = h("textarea", {
      "aria-label": t("edit"), dir: "auto", value: this.turn.text, rows: Math.min(12, this.turn.text.split("\n").length + 1),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Escape") leave();
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); save(); }
      },
    });
    const leave = () => { this.show(); this.element.querySelector("button")?.focus(); };
    const save = () => this.does.edit(this.turn, input.value.trim());
    fill(this.element, h("form.edit", { onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); save(); } }, input,
      h("p.note", null, t("editNote")),
      h("div.actions", null, h("button.quiet", { type: "button", onclick: leave }, t("cancel")), h("button.primary", { type: "submit" }, t("editSend")))));
    input.focus();
  }

  update() {}
}

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
    this.element = h("article.turn.answer", { "aria-label": t("answer") },
      h("header.turn-head", null, this.name), h("div.thinking-row", null, this.thinking, this.now),
      this.waiting, this.prose.element, this.tokens.element, this.problem, this.foot);
    this.footed = false;
    this.update();
  }

  /** Whether it is being written, in this tab. */
  get writing() {
    return app.writings.get(this.turn.id);
  }

  update() {
    const { turn, writing } = this;
    this.element.setAttribute("aria-busy", String(Boolean(writing)));
    fill(this.name, visible(turn.model ?? ""));
    this.showThinking();
    const withTokens = app.settings.sure && Boolean(turn.tokens?.length);
    this.prose.element.hidden = withTokens || !turn.text;
    if (withTokens) this.tokens.update(Boolean(writing), canGoOn(turn));
    else this.prose.show(turn.text);
    this.tokens.element.hidden = !withTokens;
    this.waiting.hidden = !writing || Boolean(turn.text || turn.thinking);
    this.waiting.lastChild.textContent = writing?.id || app.model?.limpide.state === "loaded" ? t("reading") : t("loading");
    if (writing || turn.state === "writing") {
      this.footed = false;
      fill(this.foot);
    } else if (!this.footed) this.showFoot();
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

  showFoot() {
    this.footed = true;
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

/**
 * @param {Turn} turn
 * @param {Does} does
 */
function branches(turn, does) {
  const all = alternatives(does.conversation, turn);
  if (all.length < 2) return null;
  const at = all.indexOf(turn);
  return h("span.branches", { role: "group", "aria-label": t("branches") },
    iconButton("left", t("branchBefore"), () => does.goTo(all[at - 1]), { disabled: at === 0 }),
    h("span", null, `${at + 1}/${all.length}`),
    iconButton("right", t("branchAfter"), () => does.goTo(all[at + 1]), { disabled: at === all.length - 1 }));
}

/** @param {Turn} turn */
function copyButton(turn) {
  const button = iconButton("copy", t("copy"), () => copyText(turn.text, button));
  return button;
}
