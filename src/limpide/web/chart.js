// A small chart of the last two minutes.

import { h, svg } from "./dom.js";

const MOST = 120;
const WIDTH = 240;
const HEIGHT = 64;

export class Chart {
  /**
   * @param {string} name
   * @param {(value: number) => string} words
   * @param {number} [ceiling]  where the scale ends, if that is known
   */
  constructor(name, words, ceiling) {
    this.name = name;
    this.words = words;
    this.ceiling = ceiling;
    /** @type {number[]} */
    this.values = [];
    this.area = svg("polygon", { class: "area" });
    this.line = svg("polyline", { class: "line", "vector-effect": "non-scaling-stroke" });
    this.drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": name }, this.area, this.line);
    this.now = h("strong", null, "—");
    this.top = h("span.note", null, "");
    this.element = h("figure.card.chart", null, h("figcaption", null, h("span", null, name), this.now), this.drawing, this.top);
  }

  /** @param {number} value */
  add(value) {
    this.values.push(value);
    if (this.values.length > MOST) this.values.shift();
    const top = this.ceiling ?? Math.max(1, ...this.values);
    const x = (/** @type {number} */ at) => WIDTH - (this.values.length - 1 - at) * (WIDTH / (MOST - 1));
    const points = this.values.map((each, at) => `${x(at).toFixed(1)},${(HEIGHT - 2 - (each / top) * (HEIGHT - 6)).toFixed(1)}`);
    this.line.setAttribute("points", points.join(" "));
    this.area.setAttribute("points", [`${x(0)},${HEIGHT}`, ...points, `${WIDTH},${HEIGHT}`].join(" "));
    this.now.textContent = this.words(value);
    this.top.textContent = `↑ ${this.words(Math.max(...this.values))}`;
    this.drawing.setAttribute("aria-label", `${this.name}: ${this.words(value)}`);
  }
}
