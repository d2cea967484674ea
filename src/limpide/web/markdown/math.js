// Formulas: the part of TeX that models write most, as MathML. What we don't know is shown as it was written.

import { h } from "../dom.js";
import { visible } from "../visible.js";

const MATHML = "http://www.w3.org/1998/Math/MathML";
const MOST_CHARACTERS = 4000;
const DEEPEST = 40;

/** @param {string} names */
const words = (names) => names.split(" ");

/** @type {Map<string, string>} */
const LETTERS = new Map([
  ...pairs("alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ iota ι kappa κ lambda λ mu μ nu ν xi ξ"),
  ...pairs("pi π rho ρ sigma σ tau τ upsilon υ phi ϕ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π"),
  ...pairs("Sigma Σ Phi Φ Psi Ψ Omega Ω infty ∞ partial ∂ nabla ∇ ell ℓ hbar ℏ emptyset ∅ Re ℜ Im ℑ aleph ℵ dots … ldots … cdots ⋯ vdots ⋮ ddots ⋱ prime ′ circ ∘ degree °"),
]);
/** @type {Map<string, string>} */
const OPERATORS = new Map([
  ...pairs("times × cdot ⋅ div ÷ pm ± mp ∓ le ≤ leq ≤ ge ≥ geq ≥ ne ≠ neq ≠ approx ≈ equiv ≡ sim ∼ simeq ≃ propto ∝ ll ≪ gg ≫"),
  ...pairs("to → rightarrow → leftarrow ← Rightarrow ⇒ Leftarrow ⇐ leftrightarrow ↔ Leftrightarrow ⇔ iff ⇔ implies ⟹ mapsto ↦"),
  ...pairs("in ∈ notin ∉ subset ⊂ subseteq ⊆ supset ⊃ cup ∪ cap ∩ setminus ∖ forall ∀ exists ∃ neg ¬ land ∧ lor ∨ wedge ∧ vee ∨ oplus ⊕ otimes ⊗"),
  ...pairs("mid ∣ parallel ∥ perp ⊥ angle ∠ ast ∗ star ⋆ bullet ∙ langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ lbrace { rbrace } vert | Vert ‖ colon : therefore ∴ because ∵"),
  ...pairs("{ { } } | ‖ % % $ $ # # & & _ _"),
]);
const LARGE = new Map(pairs("sum ∑ prod ∏ int ∫ iint ∬ oint ∮ bigcup ⋃ bigcap ⋂ lim lim max max min min sup sup inf inf argmax argmax argmin argmin"));
const FUNCTIONS = new Set(words("sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp det dim ker gcd deg Pr mod"));
const ACCENTS = new Map(pairs("hat ^ bar ¯ overline ¯ vec → dot ˙ ddot ¨ tilde ~ widehat ^"));
const SPACES = new Map([[",", "0.17em"], [":", "0.22em"], [";", "0.28em"], [" ", "0.3em"], ["quad", "1em"], ["qquad", "2em"], ["!", "0em"]]);
const TEXTS = new Set(words("text textbf textit mathrm operatorname mbox textrm mathsf"));
const FONTS = new Set(words("mathbf mathbb mathcal mathit boldsymbol bm mathfrak mathscr"));
const IGNORED = new Set(words("displaystyle textstyle limits nolimits big Big bigg Bigg bigl bigr Bigl Bigr"));
const FENCES = new Map(pairs("pmatrix () bmatrix [] vmatrix || cases {. matrix .. aligned .. align .. align* .. array .. gathered .. equation .. equation* .."));
const BLACKBOARD = new Map(pairs("R ℝ N ℕ Z ℤ Q ℚ C ℂ P ℙ E 𝔼 H ℍ F 𝔽 1 𝟙"));

/**
 * @param {string} list
 * @returns {[string, string][]}
 */
function pairs(list) {
  const all = list.split(" ");
  return all.flatMap((name, at) => (at % 2 ? [] : [/** @type {[string, string]} */ ([name, all[at + 1]])]));
}

/** What a formula has that we don't know. */
class Unknown extends Error {}

/**
 * A formula as an element.
 * @param {string} source
 * @param {boolean} block
 */
export function formula(source, block) {
  try {
    if (source.length > MOST_CHARACTERS) throw new Unknown();
    const reader = new Reader(source);
    const row = reader.row(() => reader.done, 0);
    const math = m("math", [row], { display: block ? "block" : "inline" });
    return h("span.math", { dir: "ltr", title: source }, math);
  } catch (error) {
    if (!(error instanceof Unknown)) throw error;
    return h("code.math-source", { dir: "ltr" }, visible(source));
  }
}

/**
 * @param {string} tag
 * @param {(Element | string)[]} children
 * @param {Record<string, string>} [attributes]
 */
function m(tag, children, attributes = {}) {
  const element = document.createElementNS(MATHML, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Reads a formula, one token after the other. */
class Reader {
  /** @param {string} source */
  constructor(source) {
    this.tokens = source.match(/\\[a-zA-Z]+\*?|\\[^a-zA-Z]|\d+(?:\.\d+)?|\s+|[^\\]/gu) ?? [];
    this.at = 0;
  }

  get done() {
    this.skip();
    return this.at >= this.tokens.length;
  }

  skip() {
    while (/^\s/.test(this.tokens[this.at] ?? "")) this.at += 1;
  }

  peek() {
    this.skip();
    return this.tokens[this.at];
  }

  next() {
    const token = this.peek();
    if (token === undefined) throw new Unknown();
    this.at += 1;
    return token;
  }

  /** @param {string} token */
  expect(token) {
    if (this.next() !== token) throw new Unknown();
  }

  /**
   * @param {() => boolean} ends
   * @param {number} depth
   */
  row(ends, depth) {
    if (depth > DEEPEST) throw new Unknown();
    const parts = [];
    while (!ends()) parts.push(this.scripted(depth + 1));
    return parts.length === 1 ? parts[0] : m("mrow", parts);
  }

  /** @param {number} depth */
  group(depth) {
    if (this.peek() !== "{") return this.atom(depth + 1);
    this.next();
    const row = this.row(() => this.peek() === "}" || this.done, depth + 1);
    this.expect("}");
    return row;
  }

  /** The letters of a group, as they are. */
  letters() {
    this.expect("{");
    let text = "";
    for (let open = 1; ; this.at += 1) {
      const token = this.tokens[this.at];
      if (token === undefined) throw new Unknown();
      if (token === "{") open += 1;
      if (token === "}") open -= 1;
      if (!open) break;
      text += token.length === 2 && token.startsWith("\\") ? token.slice(1) : token;
    }
    this.at += 1;
    return text;
  }

  /**
   * @param {number} depth
   * @returns {Element}
   */
  scripted(depth) {
    const large = LARGE.has((this.peek() ?? "").slice(1));
    const base = this.atom(depth);
    let below = null;
    let above = null;
    for (let token = this.peek(); token === "_" || token === "^" || token === "'"; token = this.peek()) {
      this.next();
      if (token === "'") above = m("mo", ["′"]);
      else if (token === "_") below = this.group(depth);
      else above = this.group(depth);
    }
    if (below && above) return m(large ? "munderover" : "msubsup", [base, below, above]);
    if (below) return m(large ? "munder" : "msub", [base, below]);
    return above ? m(large ? "mover" : "msup", [base, above]) : base;
  }

  /**
   * @param {number} depth
   * @returns {Element}
   */
  atom(depth) {
    if (depth > DEEPEST) throw new Unknown();
    const token = this.peek();
    if (token === "{") return this.group(depth);
    this.next();
    if (token === "^" || token === "_" || token === "}" || token === "&") throw new Unknown();
    if (/^\d/.test(token)) return m("mn", [token]);
    if (/^\p{L}$/u.test(token)) return m("mi", [token]);
    if (!token.startsWith("\\")) return m("mo", [token === "-" ? "−" : token === "*" ? "∗" : token], stretchy(token));
    return this.command(token.slice(1), depth);
  }

  /**
   * @param {string} name
   * @param {number} depth
   * @returns {Element}
   */
  command(name, depth) {
    if (LETTERS.has(name)) return m("mi", [LETTERS.get(name) ?? ""]);
    if (OPERATORS.has(name)) return m("mo", [OPERATORS.get(name) ?? ""], stretchy(name));
    if (LARGE.has(name)) return m("mo", [LARGE.get(name) ?? ""], { movablelimits: "false" });
    if (FUNCTIONS.has(name)) return m("mi", [name]);
    if (SPACES.has(name)) return m("mspace", [], { width: SPACES.get(name) ?? "0" });
    if (ACCENTS.has(name)) return m("mover", [this.group(depth), m("mo", [ACCENTS.get(name) ?? ""])], { accent: "true" });
    if (TEXTS.has(name)) return m("mtext", [this.letters()]);
    if (FONTS.has(name)) return this.font(name, depth);
    if (IGNORED.has(name)) return m("mspace", []);
    switch (name) {
      case "frac":
      case "dfrac":
      case "tfrac": return m("mfrac", [this.group(depth), this.group(depth)]);
      case "binom": return m("mrow", [m("mo", ["("]), m("mfrac", [this.group(depth), this.group(depth)], { linethickness: "0" }), m("mo", [")"])]);
      case "sqrt": return this.root(depth);
      case "boxed": return m("mrow", [this.group(depth)], { class: "boxed" });
      case "left": return this.fenced(depth);
      case "begin": return this.environment(depth);
      default: throw new Unknown();
    }
  }

  /**
   * @param {string} name
   * @param {number} depth
   */
  font(name, depth) {
    if (name !== "mathbb") return m("mrow", [this.group(depth)], { class: name.startsWith("b") || name === "mathbf" ? "bold" : "" });
    const letters = this.peek() === "{" ? this.letters() : this.next();
    return m("mi", [[...letters].map((letter) => BLACKBOARD.get(letter) ?? letter).join("")]);
  }

  /** @param {number} depth */
  root(depth) {
    if (this.peek() !== "[") return m("msqrt", [this.group(depth)]);
    this.next();
    const degree = this.row(() => this.peek() === "]" || this.done, depth + 1);
    this.expect("]");
    return m("mroot", [this.group(depth), degree]);
  }

  delimiter() {
    const token = this.next();
    if (token === ".") return "";
    return token.startsWith("\\") ? OPERATORS.get(token.slice(1)) ?? "" : token;
  }

  /** @param {number} depth */
  fenced(depth) {
    const open = this.delimiter();
    const row = this.row(() => this.peek() === "\\right" || this.done, depth + 1);
    this.expect("\\right");
    return m("mrow", [m("mo", [open], { stretchy: "true" }), row, m("mo", [this.delimiter()], { stretchy: "true" })]);
  }

  /** @param {number} depth */
  environment(depth) {
    const name = this.letters();
    const fence = FENCES.get(name);
    if (!fence) throw new Unknown();
    if (name === "array") this.letters();
    const rows = [];
    let cells = [];
    for (;;) {
      cells.push(m("mtd", [this.row(() => ["&", "\\\\", "\\end"].includes(this.peek() ?? "") || this.done, depth + 1)]));
      const token = this.next();
      if (token === "&") continue;
      rows.push(m("mtr", cells));
      cells = [];
      if (token === "\\end") break;
    }
    if (this.letters() !== name) throw new Unknown();
    const sides = [...fence].map((side) => m("mo", [side === "." ? "" : side], { stretchy: "true" }));
    const align = name.startsWith("align") ? { class: "aligned" } : name === "cases" ? { class: "cases" } : {};
    return m("mrow", [sides[0], m("mtable", rows, /** @type {Record<string, string>} */ (align)), sides[1]]);
  }
}

/** @param {string} token */
const stretchy = (token) => (/^[()[\]|]$/.test(token) ? { stretchy: "false" } : /** @type {Record<string, string>} */ ({}));
