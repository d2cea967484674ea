// Where questions are typed, and files are dropped.

import { app } from "../app.js";
import { announce } from "../clipboard.js";
import { fill, h, icon, iconButton } from "../dom.js";
import { session } from "../storage.js";
import { visibleText } from "../visible.js";
import { count, t } from "../words.js";
import { Dial } from "./dial.js";

/** @typedef {import("../conversation.js").TextFile} TextFile */

const MOST_BYTES = 1 << 20;
const MOST_FILES = 20;

export class Composer {
  /**
   * @param {{ send: (text: string, files: TextFile[]) => boolean, stop: () => void, settings: () => void, draft: () => string }} does  draft: whose draft it is that is typed
   */
  constructor(does) {
    this.does = does;
    /** @type {TextFile[]} */
    this.files = [];
    this.writing = false;
    this.input = h("textarea", {
      rows: 1, "aria-label": t("message"), placeholder: t("placeholder"), dir: "auto", id: "composer",
      oninput: () => this.typed(), onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
      onpaste: (/** @type {ClipboardEvent} */ event) => this.pasted(event),
    });
    this.input.value = session.get(this.place) ?? "";
    this.chips = h("ul.chips", { "aria-label": t("files") });
    this.button = h("button.send", { type: "submit" });
    this.picker = h("input", { type: "file", multiple: true, hidden: true, onchange: () => this.add([...this.picker.files]) });
    this.model = h("select.bare", { "aria-label": t("model"), onchange: () => app.set({ model: this.model.value }) });
    this.dial = new Dial();
    this.element = h("form.composer", {
      onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); this.submit(); },
    },
      this.chips, this.input,
      h("div.composer-row", null, this.model, this.dial.element, h("span.spacer"), this.picker,
        iconButton("file", t("addFile"), () => this.picker.click()),
        iconButton("tune", t("settings"), () => does.settings()), this.button));
    this.show();
    this.showModels();
  }

  get place() {
    return `limpide.draft.${this.does.draft()}`;
  }

  showModels() {
    const chosen = app.model?.id;
    fill(this.model, app.models.map((model) => h("option", { value: model.id, selected: model.id === chosen }, visibleText(model.id))));
    this.dial.show();
  }

  /** @param {boolean} writing */
  setWriting(writing) {
    if (writing !== this.writing) {
      this.writing = writing;
      this.show();
    }
  }

  show() {
    const label = this.writing ? t("stop") : t("send");
    this.button.setAttribute("aria-label", label);
    this.button.title = label;
    this.button.classList.toggle("stopping", this.writing);
    fill(this.button, icon(this.writing ? "stop" : "send"));
    fill(this.chips, this.files.map((file, at) => h("li", null, icon("file"), h("bdi", null, visibleText(file.name)),
      h("span.quiet-text", null, t("characters", { count: count(file.text.length) })),
      iconButton("close", t("removeFile", { name: visibleText(file.name) }), () => { this.files.splice(at, 1); this.show(); this.input.focus(); }))));
    this.chips.hidden = !this.files.length;
    requestAnimationFrame(() => this.fit());
  }

  typed() {
    session.set(this.place, this.input.value);
    this.fit();
  }

  fit() {
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!this.writing) this.submit();
  }

  submit() {
    if (this.writing) return this.does.stop();
    const text = this.input.value.trim();
    if (!text && !this.files.length) return;
    const { place } = this;
    if (!this.does.send(text, this.files)) return;
    session.drop(place);
    this.files = [];
    this.input.value = "";
    this.show();
  }

  /** @param {ClipboardEvent} event */
  pasted(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    this.add(files);
  }

  /** @param {File[]} files */
  async add(files) {
    for (const file of files) {
      const problem = this.files.length >= MOST_FILES ? t("tooManyFiles", { count: MOST_FILES }) : await this.read(file);
      if (problem) announce(`${visibleText(file.name)}: ${problem}`);
    }
    this.picker.value = "";
    this.show();
    this.input.focus();
  }

  /**
   * @param {File} file
   * @returns {Promise<string | null>} what is wrong with it
   */
  async read(file) {
    if (file.size > MOST_BYTES) return t("fileTooLarge");
    try {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
      if (text.includes("\0")) return t("fileNoText");
      this.files.push({ name: file.name.slice(0, 200), text });
      return null;
    } catch {
      return t("fileNoText");
    }
  }
}
