// The state of the machine, as it changes.

import { ApiError, text } from "../api.js";
import { Chart } from "../chart.js";
import { fill, h } from "../dom.js";
import { parseMetrics, total } from "../prometheus.js";
import { count, decimal, percent, t } from "../words.js";

const EVERY = 1000;

/** @typedef {import("../prometheus.js").Sample} Sample */

export class MachineView {
  constructor() {
    this.charts = {
      speed: new Chart(t("chartSpeed"), decimal), running: new Chart(t("chartRunning"), count),
      waiting: new Chart(t("chartWaiting"), count), cache: new Chart(t("chartCache"), percent, 1),
    };
    this.totals = h("dl.totals");
    this.problem = h("p.problem", { role: "status", hidden: true });
    this.element = h("div.view", null, h("header.view-head", null, h("h1.title", null, t("view_machine"))),
      h("div.view-body", null, this.problem, h("div.charts", null, Object.values(this.charts).map((chart) => chart.element)), h("h2", null, t("sinceStart")), this.totals));
    document.title = `${t("view_machine")} · Limpide`;
    /** @type {{ at: number, tokens: number } | null} */
    this.before = null;
    this.gone = false;
    this.look();
  }

  leave() {
    this.gone = true;
    clearTimeout(this.timer);
  }

  async look() {
    try {
      this.show(parseMetrics(await text("metrics")));
      this.problem.hidden = true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      fill(this.problem, `${error.message} ${error.advice}`);
      this.problem.hidden = false;
      this.before = null;
    }
    if (!this.gone) this.timer = setTimeout(() => this.look(), EVERY);
  }

  /** @param {Sample[]} samples */
  show(samples) {
    const at = performance.now();
    const written = total(samples, "limpide_computed_tokens_total", { kind: ["thinking", "answer"] });
    if (this.before) this.charts.speed.add(Math.max(0, (written - this.before.tokens) / ((at - this.before.at) / 1000)));
    this.before = { at, tokens: written };
    this.charts.running.add(total(samples, "limpide_requests_running"));
    this.charts.waiting.add(total(samples, "limpide_requests_waiting"));
    const blocks = total(samples, "limpide_cache_blocks");
    this.charts.cache.add(blocks ? total(samples, "limpide_cache_blocks_in_use") / blocks : 0);
    this.showTotals(samples);
  }

  /** @param {Sample[]} samples */
  showTotals(samples) {
    const tokens = (/** @type {string} */ kind) => total(samples, "limpide_tokens_total", { kind: [kind] });
    const prompt = tokens("prompt");
    const first = total(samples, "limpide_time_to_first_token_seconds_count");
    const mean = first ? total(samples, "limpide_time_to_first_token_seconds_sum") / first : 0;
    const rows = [
      [t("requests"), count(total(samples, "limpide_http_requests_total"))],
      [t("promptTokens"), prompt ? `${count(prompt)} · ${t("cached", { count: percent(tokens("cached") / prompt) })}` : "0"],
      [t("thinkingTokens"), count(tokens("thinking"))], [t("answerTokensOnly"), count(tokens("answer"))],
      [t("meanFirst"), first ? `${decimal(mean)} s` : "—"], [t("preemptions"), count(total(samples, "limpide_preemptions_total"))],
    ];
    fill(this.totals, rows.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
  }
}
