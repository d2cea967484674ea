// What this machine has and could have: the server's catalog, and the models that are on their way here.

import { ApiError, json } from "./api.js";
import { app } from "./app.js";

/**
 * @typedef {{
 *   key: string, name: string, spdx: string, url: string, commercial: "yes" | "limited" | "no", display: string | null,
 *   use_policy: boolean, plainly: string[], needs_acceptance: boolean, accepted: boolean,
 * }} Terms
 * @typedef {{ low: number, high: number }} Range
 * @typedef {{
 *   fits: boolean, memory_bytes: number, weights_bytes: number, cache_bytes: number | null, context: number,
 *   generation: Range | null, prompt: Range | null, slowed: string[],
 * }} Prediction
 * @typedef {{
 *   name: string, title: string, publisher: string | null, parameters: number | null, size_bytes: number | null,
 *   size_is_estimate: boolean, stored: string | null, context: number | null, thinking: string | null,
 *   chat: boolean | null, terms: Terms[], note: string, here: boolean, prediction: Prediction | null,
 * }} Stocked
 * @typedef {{
 *   id: string, model: string, state: "running" | "cancelling" | "done" | "cancelled" | "failed", step: string,
 *   done_bytes: number, total_bytes: number | null, said: string, error: { message: string, code: string | null } | null,
 * }} Pull
 * @typedef {{ total: number, available: number, models: number, resident: number }} Room
 * @typedef {{ model: string, state: string, resident_before: number | null, resident_after: number | null }} Loaded
 */

const SOON = 500;
const LATER = 3000;

/** @param {Pull | undefined} pull */
export const underWay = (pull) => pull?.state === "running" || pull?.state === "cancelling";

/** A model of which nothing is known but its name. @param {string} name @returns {Stocked} */
export const unknown = (name) => ({
  name, title: name, publisher: null, parameters: null, size_bytes: null, size_is_estimate: false, stored: null,
  context: null, thinking: null, chat: null, terms: [], note: "", here: false, prediction: null,
});

class Stock extends EventTarget {
  constructor() {
    super();
    /** @type {Stocked[]} */
    this.models = [];
    /** @type {Room | null} */
    this.room = null;
    /** @type {Pull[]} */
    this.pulls = [];
    /** @type {ApiError | null} */
    this.problem = null;
    this.watchers = 0;
    this.timer = 0;
  }

  /** Look again and again, until the answer is called; as long as something is on its way, also after that. */
  watch() {
    this.watchers += 1;
    this.refresh();
    this.look();
    return () => { this.watchers -= 1; };
  }

  /** Ask for the catalog. */
  async refresh() {
    try {
      const found = await json("catalog");
      this.models = found.models;
      this.room = found.room;
      this.problem = null;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem = error;
    }
    this.changed();
  }

  /** Ask what is on its way, and what can be asked for. */
  async look() {
    clearTimeout(this.timer);
    try {
      const states = stateOf();
      await this.readPulls();
      if (!this.moving || stateOf() !== states) await app.readModels();
      if (this.problem || stateOf() !== states) await this.refresh();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem = error;
      this.changed();
    }
    clearTimeout(this.timer);
    if (this.watchers || this.moving) this.timer = setTimeout(() => this.look(), this.moving ? SOON : LATER);
  }

  get moving() {
    return this.pulls.some(underWay);
  }

  async readPulls() {
    const before = new Map(this.pulls.map((pull) => [pull.id, pull.state]));
    this.pulls = (await json("pulls")).data;
    const ended = this.pulls.some((pull) => !underWay(pull) && before.get(pull.id) !== pull.state);
    this.changed();
    if (ended && before.size) await Promise.all([app.readModels(), this.refresh()]);
  }

  /** @param {string} name */
  pullOf(name) {
    return this.pulls.find((pull) => pull.model === name);
  }

  /**
   * Have a model fetched. Throws ApiError.
   * @param {string} model
   * @param {string[]} accept  keys of the licences that the person accepted
   * @returns {Promise<Pull>}
   */
  async pull(model, accept = []) {
    const pull = await json("pulls", { model, ...(accept.length && { accept_licences: accept }) });
    this.keep(pull);
    return pull;
  }

  /** @param {Pull} pull */
  async cancel(pull) {
    this.keep(await json(`pulls/${encodeURIComponent(pull.id)}/cancel`, {}));
  }

  /**
   * Load a model or unload it. Throws ApiError.
   * @param {"load" | "unload"} what
   * @param {string} model
   * @returns {Promise<Loaded>}
   */
  async bring(what, model) {
    const asked = json(what, { model });
    setTimeout(() => app.readModels().catch(() => {}), 150);
    try {
      return await asked;
    } finally {
      app.readModels().catch(() => {});
      this.refresh();
    }
  }

  /** Wait until a pull has ended. @param {Pull} pull @returns {Promise<Pull>} */
  async ended(pull) {
    for (let now = pull; ; now = this.pulls.find(({ id }) => id === pull.id) ?? { ...pull, state: "cancelled" }) {
      if (!underWay(now)) return now;
      await new Promise((resolve) => this.addEventListener("change", resolve, { once: true }));
    }
  }

  /** @param {Pull} pull */
  keep(pull) {
    this.pulls = [pull, ...this.pulls.filter(({ model }) => model !== pull.model)];
    this.changed();
    this.look();
  }

  changed() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}

const stateOf = () => app.models.map((model) => `${model.id} ${model.limpide.state}`).join("\n");

export const stock = new Stock();
