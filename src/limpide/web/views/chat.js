// The chat.

import { app } from "../app.js";
import { AnswerView } from "../chat/answer.js";
import { ask, goOn } from "../chat/asking.js";
import { Composer } from "../chat/composer.js";
import { dialWords } from "../chat/dial.js";
import { settingsPanel } from "../chat/panel.js";
import { QuestionView } from "../chat/question.js";
import { announce } from "../clipboard.js";
import { addTurn, goTo, newConversation, pathTo } from "../conversation.js";
import { append, fill, h, iconButton, svg } from "../dom.js";
import { download } from "../exchange/files.js";
import { toJson } from "../exchange/json.js";
import { toMarkdown } from "../exchange/markdown.js";
import { visible, visibleText } from "../visible.js";
import { t } from "../words.js";

/**
 * @typedef {import("../conversation.js").Turn} Turn
 * @typedef {import("../conversation.js").Token} Token
 * @typedef {import("../conversation.js").TextFile} TextFile
 */

export class ChatView {
  /** @param {string | null} id  of a conversation; without one a new one begins with the first question */
  constructor(id) {
    this.conversation = (id && app.library.all.get(id)) || newConversation();
    /** @type {(QuestionView | AnswerView)[]} */
    this.views = [];
    this.turns = 0;
    this.frame = 0;
    this.following = true;
    this.sure = app.settings.sure;
    this.leaving = new AbortController();
    this.log = h("div.log", { role: "log", "aria-live": "off", "aria-label": t("conversation") });
    this.scroller = h("div.scroller", { onscroll: () => this.scrolled() }, this.log);
    this.title = h("h1.title", { dir: "auto" });
    this.tools = h("span.tools");
    this.panel = h("div.panel-place");
    this.composer = new Composer({
      draft: () => (this.conversation.leaf ? this.conversation.id : "new"),
      send: (text, files) => this.send(text, files), stop: () => this.stop(), settings: () => this.togglePanel(),
    });
    this.element = h("div.chat", {
      ondragover: (/** @type {DragEvent} */ event) => this.dragged(event, true), ondragleave: (/** @type {DragEvent} */ event) => this.dragged(event, false),
      ondrop: (/** @type {DragEvent} */ event) => this.dropped(event),
    },
      h("div.chat-main", null, h("header.view-head", null, this.title, this.tools), this.scroller, h("div.composer-place", null, this.composer.element)),
      this.panel);
    this.listen();
    this.rebuild();
    // While thinking goes on in silence, its clock does not stand still.
    this.clock = setInterval(() => this.writing && this.changed(), 500);
    requestAnimationFrame(() => this.composer.input.focus());
  }

  listen() {
    const { signal } = this.leaving;
    const here = (/** @type {() => void} */ does) => (/** @type {Event} */ event) => {
      const { detail } = /** @type {CustomEvent} */ (event);
      if (detail === this.conversation || detail === this.conversation.id) does();
    };
    app.addEventListener("models", () => this.refresh(), { signal });
    app.addEventListener("settings", () => this.refresh(), { signal });
    app.addEventListener("written", here(() => this.changed()), { signal });
    app.library.addEventListener("elsewhere", here(() => this.changed()), { signal });
    app.library.addEventListener("removed", here(() => { location.hash = "#/chat"; }), { signal });
  }

  leave() {
    this.leaving.abort();
    clearInterval(this.clock);
    cancelAnimationFrame(this.frame);
  }

  /** The answer that is being written in this tab. */
  get writing() {
    return pathTo(this.conversation).map((turn) => app.writings.get(turn.id)).find(Boolean);
  }

  /** Whether one is being written, here or in another tab. */
  get busy() {
    return pathTo(this.conversation).some((turn) => turn.state === "writing");
  }

  refresh() {
    this.composer.showModels();
    const words = this.panel.querySelector("#dial-words");
    if (words) words.textContent = dialWords();
    for (const view of this.views) if (this.sure !== app.settings.sure || !view.settled) view.update();
    this.sure = app.settings.sure;
  }

  /** Show the branch that was gone to. What is in both stays as it is, unless there are new versions of it. */
  rebuild() {
    const turns = pathTo(this.conversation);
    const does = {
      conversation: this.conversation,
      again: (/** @type {Turn} */ turn) => this.again(turn),
      edit: (/** @type {Turn} */ turn, /** @type {string} */ text) => this.edit(turn, text),
      goTo: (/** @type {Turn} */ turn) => this.goTo(turn),
      goOn: (/** @type {Turn} */ turn, /** @type {string} */ text, /** @type {Token[]} */ tokens) => this.free() && this.begin(() => goOn(this.conversation, turn, text, tokens)),
    };
    const added = Object.keys(this.conversation.turns).length - this.turns;
    const fresh = turns.filter((turn, at) => turn !== this.views[at]?.turn).length;
    let same = 0;
    if (added <= fresh) while (same < turns.length && turns[same] === this.views[same]?.turn) same += 1;
    this.turns += added;
    const made = turns.slice(same).map((turn) => (turn.role === "user" ? new QuestionView(turn, does) : new AnswerView(turn, does)));
    this.views = [...this.views.slice(0, same), ...made];
    if (same) {
      while (this.log.childElementCount > same) this.log.lastElementChild.remove();
      append(this.log, made.map((view) => view.element));
    } else fill(this.log, made.length ? made.map((view) => view.element) : welcome());
    this.showHead();
    this.soon();
  }

  showHead() {
    const { conversation } = this;
    fill(this.title, visible(conversation.title || t("newChat")));
    document.title = `${visibleText(conversation.title) || t("newChat")} · Limpide`;
    fill(this.tools, conversation.leaf && [
      iconButton("out", t("exportMarkdown"), () => download(conversation, "md", toMarkdown(conversation)), { "data-export": "md" }),
      h("button.quiet.small", { type: "button", title: t("exportJson"), "data-export": "json", onclick: () => download(conversation, "json", toJson(conversation)) }, "JSON")]);
  }

  /** Something was said or written: however much comes until the next frame, it is shown once. */
  changed() {
    const turns = pathTo(this.conversation);
    const same = turns.length === this.views.length && turns.every((turn, at) => turn === this.views[at].turn);
    if (!same || Object.keys(this.conversation.turns).length !== this.turns) this.rebuild();
    this.soon();
  }

  /** Update with the next frame. */
  soon() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.update();
    });
  }

  update() {
    for (const view of this.views) if (!view.settled) view.update();
    this.composer.setWriting(Boolean(this.writing));
    if (this.following) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  scrolled() {
    this.following = this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight < 40;
  }

  /** Whether something can be asked: one thing is written at a time. */
  free() {
    if (this.busy) announce(t("waitForEnd"));
    return !this.busy;
  }

  /** @param {() => Promise<void>} write */
  begin(write) {
    this.following = true;
    if (location.hash !== `#/chat/${this.conversation.id}`) history.replaceState(null, "", `#/chat/${this.conversation.id}`);
    write();
  }

  /**
   * @param {string} text
   * @param {TextFile[]} files
   * @returns {boolean} whether it was sent
   */
  send(text, files) {
    if (!this.free()) return false;
    const question = addTurn(this.conversation, { parent: this.conversation.leaf, role: "user", text, ...(files.length && { files }) });
    this.begin(() => ask(this.conversation, question));
    return true;
  }

  /** @param {Turn} answer */
  again(answer) {
    const question = answer.parent && this.conversation.turns[answer.parent];
    if (question && this.free()) this.begin(() => ask(this.conversation, question));
  }

  /**
   * @param {Turn} question
   * @param {string} text
   */
  edit(question, text) {
    if ((!text && !question.files) || !this.free()) return;
    const edited = addTurn(this.conversation, { parent: question.parent, role: "user", text, files: question.files });
    this.begin(() => ask(this.conversation, edited));
  }

  /** @param {Turn} turn */
  goTo(turn) {
    goTo(this.conversation, turn);
    app.library.move(this.conversation);
    this.rebuild();
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
    const within = event.relatedTarget instanceof Node && this.element.contains(event.relatedTarget);
    this.element.classList.toggle("dropping", over || within);
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
