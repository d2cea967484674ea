// What all parts of the page share.

import { json } from "./api.js";
import { Library } from "./library.js";
import { SETTINGS, keepSettings, readSettings } from "./settings.js";

/**
 * @typedef {import("./conversation.js").Conversation} Conversation
 * @typedef {import("./conversation.js").Turn} Turn
 * @typedef {import("./writing.js").Writing} Writing
 * @typedef {{
 *   state: "unloaded" | "loading" | "loaded", architecture: string | null, context: number | null,
 *   thinking: "native" | "always" | "prompted" | "none" | null, chat: boolean | null, tools: string | null,
 *   licence: string | null, numerics: string | null,
 * }} Facts
 * @typedef {{ id: string, created: number, limpide: Facts }} Model
 */

/** Its events: `models` and `settings` when they changed; `written`, with a conversation, when an answer in it has more. */
class App extends EventTarget {
  constructor() {
    super();
    this.library = new Library();
    this.settings = readSettings();
    /** @type {Model[]} */
    this.models = [];
    /** Answers that are being written in this tab, by the id of their turn. @type {Map<string, Writing>} */
    this.writings = new Map();
    this.library.addEventListener("asked", () => this.keepWritings());
    this.library.addEventListener("removed", (event) => this.stopIn(/** @type {CustomEvent<Conversation>} */ (event).detail));
    addEventListener("pagehide", () => this.breakOff());
    addEventListener("storage", (event) => event.key === SETTINGS && this.readSettings());
  }

  /** Ask what models there are. Throws ApiError. */
  async readModels() {
    this.models = (await json("v1/models")).data;
    this.dispatchEvent(new CustomEvent("models"));
  }

  /** The model that is chosen: the first, unless another one of those that are here was. */
  get model() {
    return this.models.find((model) => model.id === this.settings.model) ?? this.models[0] ?? null;
  }

  /** @param {Partial<import("./settings.js").Settings>} changes */
  set(changes) {
    Object.assign(this.settings, changes);
    keepSettings(this.settings);
    this.dispatchEvent(new CustomEvent("settings"));
  }

  /** Another tab changed them. */
  readSettings() {
    Object.assign(this.settings, readSettings());
    this.dispatchEvent(new CustomEvent("settings"));
  }

  /** @param {Conversation} conversation */
  wrote(conversation) {
    this.dispatchEvent(new CustomEvent("written", { detail: conversation }));
  }

  keepWritings() {
    for (const { conversation, turn } of this.writings.values()) this.library.put(conversation, [turn]);
  }

  /** The page goes away, and the server stops writing for it: what is kept says so. */
  breakOff() {
    for (const { turn } of this.writings.values()) turn.state = "broken";
    this.keepWritings();
  }

  /** @param {Conversation} conversation */
  stopIn(conversation) {
    for (const turn of Object.keys(conversation.turns)) this.writings.get(turn)?.stop();
  }
}

export const app = new App();
