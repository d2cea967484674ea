// How far a model is on its way here.

import { announce } from "../clipboard.js";
import { fill, h } from "../dom.js";
import { visible } from "../visible.js";
import { duration, percent, t } from "../words.js";
import { bytes } from "./figures.js";

/** @typedef {import("../stock.js").Pull} Pull */

const SPOKEN_EVERY = 0.25;
/** Seconds over which the speed is taken: a network stutters. */
const WINDOW = 8;

export class Progress {
  /**
   * @param {string} title  of the model
   * @param {() => void} cancel
   */
  constructor(title, cancel) {
    this.title = title;
    this.bar = h("progress", { "aria-label": t("stock_pulling", { title }) });
    this.words = h("p.note");
    this.step = h("p.note.step");
    this.button = h("button.quiet.small", { type: "button", "data-action": "cancel", onclick: cancel }, t("cancel"));
    this.element = h("div.pull", null, h("div.pull-head", null, this.step, this.button), this.bar, this.words);
    /** @type {{ at: number, done: number }[]} */
    this.past = [];
    this.spoken = 0;
    this.shownStep = "";
  }

  /** @param {Pull} pull */
  show(pull) {
    const { done_bytes: done, total_bytes: total } = pull;
    if (pull.step !== this.shownStep) this.begin(pull.step);
    this.button.disabled = pull.state === "cancelling";
    if (!total) this.bar.removeAttribute("value");
    else { this.bar.max = total; this.bar.value = done; }
    const words = pull.state === "cancelling" ? [t("stock_cancelling")] : this.figures(done, total);
    fill(this.words, words.join(" · "));
    this.bar.setAttribute("aria-valuetext", words.join(", "));
    fill(this.step, visible(pull.said && !done ? pull.said : pull.step || t("stock_begins")));
    this.speak(done, total);
  }

  /** @param {string} step */
  begin(step) {
    this.shownStep = step;
    this.past = [];
    this.spoken = 0;
  }

  /**
   * @param {number} done
   * @param {number | null} total
   */
  figures(done, total) {
    if (!total) return done ? [bytes(done)] : [];
    if (done >= total) return [t("stock_checking")];
    const words = [percent(done / total), t("stock_of", { done: bytes(done), total: bytes(total) })];
    const speed = this.speed(done);
    return speed > 0 ? [...words, t("stock_rate", { rate: bytes(speed) }), t("stock_left", { time: duration(Math.max(1, Math.round((total - done) / speed))) })] : words;
  }

  /** Bytes per second of late. @param {number} done */
  speed(done) {
    const at = performance.now() / 1000;
    this.past = [...this.past.filter((each) => at - each.at < WINDOW), { at, done }];
    const first = this.past[0];
    return at - first.at > 1 ? (done - first.done) / (at - first.at) : 0;
  }

  /**
   * Now and then, for those who don't see the bar.
   * @param {number} done
   * @param {number | null} total
   */
  speak(done, total) {
    const reached = total ? Math.floor(done / total / SPOKEN_EVERY) * SPOKEN_EVERY : 0;
    if (reached <= this.spoken || reached >= 1) return;
    this.spoken = reached;
    announce(t("stock_reached", { title: this.title, share: percent(reached) }), false);
  }
}
