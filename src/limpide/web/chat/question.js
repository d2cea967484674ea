// A question as it is shown, and as it is edited.

import { fill, h, icon, iconButton } from "../dom.js";
import { visible, visibleText } from "../visible.js";
import { t } from "../words.js";
import { branches, copyButton } from "./actions.js";

/**
 * @typedef {import("../conversation.js").Turn} Turn
 * @typedef {import("./actions.js").Does} Does
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

  /** It never changes: what is edited becomes another. */
  get settled() {
    return true;
  }
}
