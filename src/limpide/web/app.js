// What all parts of the page share.

import { json } from "./api.js";
import { Library } from "./library.js";
import { keepSettings, readSettings } from "./settings.js";

/**
 * @typedef {{
 *   state: "unloaded" | "loading" | "loaded", architecture: string | null, context: number | null,
 *   thinking: "native" | "always" | "prompted" | "none" | null, chat: boolean | null, tools: string | null,
 *   licence: string | null, numerics: string | null,
 * }} Facts
 * @typedef {{ id: string, created: number, limpide: Facts }} Model
 */

class App extends EventTarget {
  constructor() {
    super();
    this.library = new Library();
    this.settings = readSettings();
    /** @type {Model[]} */
    this.models = [];
    /** Answers that are being written, by the id of their turn. @type {Map<string, import("./writing.js").Writing>} */
    this.writings = new Map();
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
}

export const app = new App();
