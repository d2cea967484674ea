// The chat.

import { app } from "../app.js";
import { ask, goOn } from "../chat/asking.js";
import { Composer } from "../chat/composer.js";
import { settingsPanel } from "../chat/panel.js";
import { AnswerView, QuestionView } from "../chat/turns.js";
import { announce } from "../clipboard.js";
import { addTurn, goTo, newConversation, pathTo } from "../conversation.js";
import { append, fill, h, iconButton, svg } from "../dom.js";
import { download, toJson, toMarkdown } from "../exchange.js";
import { visible, visibleText } from "../visible.js";
import { t } from "../words.js";

/** @typedef {import("../conversation.js").Turn} Turn */

export class ChatView {
  /** @param {string | null} id  of a conversation; without one a new one begins with the first question */
  constructor(id) {
    this.conversation = (id && app.library.all.get(id)) || newConversation();
    /** @type {(QuestionView | AnswerView)[]} */
    this.views = [];
    this.frame = 0;
    this.following = true;
    this.leaving = new AbortController();
    this.log = h("div.log", { role: "log", "aria-live": "off", "aria-label": t("conversation") });
    this.scroller = h("div.scroller", { onscroll: () => this.scrolled() }, this.log);
    this.title = h("h1.title", { dir: "auto" });
    this.tools = h("span.tools");
    this.panel = h("div.panel-place");
    this.composer = new Composer({
      draft: id ?? "new", send: (text, files) => this.send(text, files), stop: () => this.stop(), settings: () => this.togglePanel(),
    });
    this.element = h("div.chat", {
      ondragover: (/** @type {DragEvent} */ event) => this.dragged(event, true), ondragleave: (/** @type {DragEvent} */ event) => this.dragged(event, false),
      ondrop: (/** @type {DragEvent} */ event) => this.dropped(event),
    },
      h("div.chat-main", null, h("header.view-head", null, this.title, this.tools), this.scroller, h("div.composer-place", null, this.composer.element)),
      this.panel);
    const { signal } = this.leaving;
    app.addEventListener("models", () => this.refresh(), { signal });
    app.addEventListener("settings", () => this.refresh(), { signal });
    app.library.addEventListener("elsewhere", (event) => this.elsewhere(/** @type {CustomEvent} */ (event).detail), { signal });
    this.rebuild();
    requestAnimationFrame(() => this.composer.input.focus());
  }

  leave() {
    this.leaving.abort();
    cancelAnimationFrame(this.frame);
  }

  /** The turn that is being written here. */
  get writing() {
    return pathTo(this.conversation).map((turn) => app.writings.get(turn.id)).find(Boolean);
  }

  refresh() {
    this.composer.showModels();
    const words = this.panel.querySelector("#dial-words");
    if (words) words.textContent = this.composer.dial.querySelector("select").title;
    this.update();
  }

  /** @param {string} id */
  elsewhere(id) {
    if (id !== this.conversation.id || this.writing) return;
    this.conversation = app.library.all.get(id) ?? this.conversation;
    this.rebuild();
  }

  rebuild() {
    const turns = pathTo(this.conversation);
    const does = {
      conversation: this.conversation,
      again: (/** @type {Turn} */ turn) => this.again(turn),
      edit: (/** @type {Turn} */ turn, /** @type {string} */ text) => this.edit(turn, text),
      goTo: (/** @type {Turn} */ turn) => { goTo(this.conversation, turn); app.library.save(this.conversation, "moved"); this.rebuild(); },
      goOn: (/** @type {Turn} */ turn, /** @type {string} */ text, /** @type {any} */ tokens) => this.run(goOn(this.conversation, turn, text, tokens, () => this.changed())),
    };
    this.views = turns.map((turn) => (turn.role === "user" ? new QuestionView(turn, does) : new AnswerView(turn, does)));
    fill(this.log, this.views.length ? this.views.map((view) => view.element) : welcome());
    fill(this.title, visible(this.conversation.title || t("newChat")));
    document.title = `${visibleText(this.conversation.title) || t("newChat")} · Limpide`;
    fill(this.tools, turns.length > 0 && [
      iconButton("out", t("exportMarkdown"), () => download(this.conversation, "md", toMarkdown(this.conversation)), { "data-export": "md" }),
      h("button.quiet.small", { type: "button", title: t("exportJson"), onclick: () => download(this.conversation, "json", toJson(this.conversation)) }, "JSON")]);
    this.update();
  }

  /** Something was written: shown with the next frame, however much comes until then. */
  changed() {
    const turns = pathTo(this.conversation);
    if (turns.length !== this.views.length || turns.some((turn, at) => turn !== this.views[at].turn)) this.rebuild();
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.update();
    });
  }

  update() {
    for (const view of this.views) view.update();
    this.composer.setWriting(Boolean(this.writing));
    if (this.following) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  scrolled() {
    this.following = this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight < 40;
  }

  /** @param {Promise<void>} writing */
  run(writing) {
    this.following = true;
    // While thinking goes on in silence, its clock does not stand still.
    const clock = setInterval(() => this.changed(), 500);
    writing.finally(() => clearInterval(clock));
    if (location.hash !== `#/chat/${this.conversation.id}`) history.replaceState(null, "", `#/chat/${this.conversation.id}`);
    app.library.changed();
  }

  /**
   * @param {string} text
   * @param {import("../conversation.js").TextFile[]} files
   */
  send(text, files) {
    const parent = this.conversation.leaf;
    this.asked(addTurn(this.conversation, { parent, role: "user", text, ...(files.length && { files }) }));
  }

  /** @param {Turn} question */
  asked(question) {
    app.library.save(this.conversation);
    this.run(ask(this.conversation, question, () => this.changed()));
  }

  /** @param {Turn} answer */
  again(answer) {
    const question = answer.parent && this.conversation.turns[answer.parent];
    if (question && !this.writing) this.asked(question);
  }

  /**
   * @param {Turn} question
   * @param {string} text
   */
  edit(question, text) {
    if (this.writing) return announce(t("waitForEnd"));
    if (text || question.files) this.asked(addTurn(this.conversation, { parent: question.parent, role: "user", text, files: question.files }));
  }

  stop() {
    this.writing?.stop();
  }

  togglePanel() {
    const close = () => { fill(this.panel); this.composer.input.focus(); };
    if (this.panel.hasChildNodes()) return close();
    append(this.panel, [settingsPanel(close)]);
    this.panel.querySelector("button")?.focus();
  }

  /**
   * @param {DragEvent} event
   * @param {boolean} over
   */
  dragged(event, over) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.element.classList.toggle("dropping", over);
  }

  /** @param {DragEvent} event */
  dropped(event) {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    this.element.classList.remove("dropping");
    this.composer.add([...event.dataTransfer.files]);
  }
}

function welcome() {
  const facts = app.model?.limpide;
  return h("div.welcome", null,
    svg("svg", { viewBox: "0 0 32 32", class: "welcome-drop", "aria-hidden": "true" }, svg("path", { d: "M16 3c5.5 6.6 9 11.2 9 16a9 9 0 0 1-18 0c0-4.8 3.5-9.4 9-16z" })),
    h("h2", null, t("welcome")), h("p", null, t("welcomeMore")),
    facts?.chat === false && h("p.problem", null, t("noChat")),
    !app.library.kept && h("p.note", null, t("notKept")));
}
