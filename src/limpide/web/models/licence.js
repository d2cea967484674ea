// Licences in plain words, and accepting one.

import { h } from "../dom.js";
import { plain } from "../words/plain.js";
import { visible } from "../visible.js";
import { t } from "../words.js";

/** @typedef {import("../stock.js").Terms} Terms */

/**
 * The answers that people look for first.
 * @param {Terms} terms
 */
function answers(terms) {
  const derived = quoted(terms);
  const named = terms.display ? t("stock_namedAs", { words: terms.display }) : derived && t("stock_namedDerived", { words: derived });
  return h("dl.answers", null,
    answer(t("stock_commercial"), t(`stock_commercial_${terms.commercial}`), terms.commercial),
    answer(t("stock_named"), named || t("no"), named ? "limited" : "yes"),
    answer(t("stock_passOn"), t("stock_passOnWith"), "plain"),
    answer(t("stock_policy"), t(terms.use_policy ? "yes" : "no"), terms.use_policy ? "limited" : "yes"));
}

/** Some ask for a name only of those who make another model of it. @param {Terms} terms */
const quoted = (terms) => /show “([^”]+)”/.exec(terms.plainly.join("\n"))?.[1] ?? null;

/**
 * @param {string} question
 * @param {string} said
 * @param {"yes" | "limited" | "no" | "plain"} kind
 */
const answer = (question, said, kind) => h(`div.${kind}`, null, h("dt", null, question), h("dd", null, said));

/** @param {Terms} terms */
export function licence(terms) {
  return h("section.licence", null,
    h("h4", null, visible(terms.name)), answers(terms),
    h("ul.plainly", null, terms.plainly.map((line) => h("li", plain(line) === line ? { lang: "en" } : null, plain(line)))),
    h("p.note", null, t("stock_termsDecide"), " ", link(terms)));
}

/** @param {Terms} terms */
const link = (terms) => (/^https:\/\//.test(terms.url)
  ? h("a", { href: terms.url, target: "_blank", rel: "noopener noreferrer" }, visible(terms.url)) : visible(terms.url));

/** @param {Terms[]} all */
export const unaccepted = (all) => all.filter((terms) => terms.needs_acceptance && !terms.accepted);

/**
 * Show the terms that nobody accepted here yet, and ask.
 * @param {string} title  of the model
 * @param {Terms[]} all
 * @returns {Promise<string[] | null>} the keys that were accepted; null if they were not
 */
export function accept(title, all) {
  const asked = unaccepted(all);
  if (!asked.length) return Promise.resolve([]);
  return new Promise((resolve) => {
    let given = false;
    const agree = h("input", { type: "checkbox", required: true, id: "accept-terms" });
    const dialog = h("dialog.card.terms-dialog", { "aria-labelledby": "terms-title", onclose: () => { dialog.remove(); resolve(given ? asked.map(({ key }) => key) : null); } },
      h("form", { onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); given = true; dialog.close(); } },
        h("h2", { id: "terms-title" }, t("stock_acceptTitle", { title })),
        h("div.terms-scroll", { tabindex: 0, role: "group", "aria-label": t("licence") }, asked.map(licence)),
        h("label.check", { for: "accept-terms" }, agree, h("span", null, t("stock_acceptCheck", { names: asked.map(({ name }) => name).join(", ") }))),
        h("div.actions", null,
          h("button.quiet", { type: "button", onclick: () => dialog.close() }, t("cancel")),
          h("button.primary", { type: "submit" }, t("stock_accept")))));
    document.body.append(dialog);
    dialog.showModal();
    agree.focus();
  });
}
