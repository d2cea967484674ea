// How sure the model was: each token tinted by its doubt, with what else could have come.

import { fill, h } from "../dom.js";
import { visible } from "../visible.js";
import { decimal, percent, t } from "../words.js";
import { entropyLine } from "./entropy.js";

/**
 * @typedef {import("../conversation.js").Turn} Turn
 * @typedef {import("../conversation.js").Token} Token
 */

/** The tokens of an answer; arrow keys go along them, Enter opens one. */
export class Tokens {
  /**
   * @param {Turn} turn
   * @param {(text: string, tokens: Token[]) => void} choose  go on from here in place of what came
   */
  constructor(turn, choose) {
    this.turn = turn;
    this.choose = choose;
    this.shown = 0;
    this.at = 0;
    this.canGoOn = true;
    this.line = h("div.entropy");
    this.text = h("div.tokens", {
      role: "group", "aria-label": t("tokensLabel"), dir: "auto",
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
      onclick: (/** @type {MouseEvent} */ event) => this.open(this.indexOf(event.target)),
      onpointerover: (/** @type {PointerEvent} */ event) => event.pointerType === "mouse" && this.peek(this.indexOf(event.target)),
    });
    this.popover = h("div.alternatives", { popover: "auto", role: "dialog", "aria-label": t("alternatives") });
    this.element = h("div", null, this.line, this.text, this.popover);
  }

  /** @param {EventTarget | null} target */
  indexOf(target) {
    const token = target instanceof Element ? target.closest(".token") : null;
    return token ? [...this.text.children].indexOf(token) : -1;
  }

  /**
   * @param {boolean} writing
   * @param {boolean} canGoOn
   */
  update(writing, canGoOn) {
    this.canGoOn = canGoOn;
    const tokens = this.turn.tokens ?? [];
    for (; this.shown < tokens.length; this.shown += 1) this.text.append(this.span(tokens[this.shown], this.shown));
    if (!writing) fill(this.line, entropyLine(tokens));
  }

  /**
   * @param {Token} token
   * @param {number} at
   */
  span(token, at) {
    const chance = Math.exp(token.logprob);
    const span = h("span.token", {
      role: "button", tabindex: at === this.at ? 0 : -1, "aria-haspopup": "dialog",
      "aria-label": `${token.token.trim() || t("space")}, ${percent(chance)}`,
    }, visible(token.token));
    span.style.setProperty("--doubt", `${Math.round((1 - chance) * 100)}%`);
    return span;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10 }[event.key];
    if (step) {
      event.preventDefault();
      this.move(Math.min(this.shown - 1, Math.max(0, this.at + step)));
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.open(this.at);
      this.popover.querySelector("button")?.focus();
    }
  }

  /** @param {number} at */
  move(at) {
    this.text.children[this.at]?.setAttribute("tabindex", "-1");
    this.at = at;
    this.text.children[at]?.setAttribute("tabindex", "0");
    this.text.children[at]?.focus();
  }

  /** @param {number} at */
  peek(at) {
    const token = this.turn.tokens?.[at];
    if (token) this.text.children[at].title = token.top.map((each) => `${each.token} ${percent(Math.exp(each.logprob))}`).join(" · ");
  }

  /** @param {number} at */
  open(at) {
    const token = this.turn.tokens?.[at];
    if (!token) return;
    this.move(at);
    fill(this.popover, h("h3", null, t("alternatives")), this.list(token, at),
      !this.canGoOn && h("p.note", null, t("noGoOn")));
    const place = this.text.children[at].getBoundingClientRect();
    this.popover.showPopover();
    const width = this.popover.offsetWidth;
    const below = place.bottom + 6 + this.popover.offsetHeight < innerHeight;
    this.popover.style.left = `${Math.max(8, Math.min(place.left, innerWidth - width - 8))}px`;
    this.popover.style.top = `${below ? place.bottom + 6 : Math.max(8, place.top - this.popover.offsetHeight - 6)}px`;
  }

  /**
   * @param {Token} token
   * @param {number} at
   */
  list(token, at) {
    const all = token.top.some((each) => each.token === token.token) ? token.top : [token, ...token.top];
    return h("ul", null, all.map((each) => {
      const chance = Math.exp(each.logprob);
      const came = each.token === token.token;
      const bar = h("span.chance", { "aria-hidden": "true" });
      bar.style.setProperty("--chance", `${chance * 100}%`);
      return h("li", came ? { class: "came" } : null, h("code", null, visible(JSON.stringify(each.token).slice(1, -1).replaceAll(" ", "␣"))),
        h("span", null, percent(chance)), bar,
        came ? h("span.note", null, t("thisCame")) : h("button.quiet.small", {
          type: "button", disabled: !this.canGoOn, onclick: () => this.take(each, at),
        }, t("goOnFromThis")));
    }));
  }

  /**
   * @param {{ token: string, logprob: number }} chosen
   * @param {number} at
   */
  take(chosen, at) {
    this.popover.hidePopover();
    const tokens = this.turn.tokens ?? [];
    const before = tokens.slice(0, at);
    const token = { ...chosen, top: tokens[at].top };
    this.choose(before.map((each) => each.token).join("") + chosen.token, [...before, token]);
  }
}

/** What the page says of an answer's tokens as a whole. @param {Token[]} tokens */
export function sureness(tokens) {
  const mean = Math.exp(tokens.reduce((sum, token) => sum + token.logprob, 0) / tokens.length);
  return t("sureMean", { share: percent(mean), perplexity: decimal(1 / mean) });
}
