// The settings of the chat, in a panel at the side.

import { app } from "../app.js";
import { h, iconButton } from "../dom.js";
import { DEFAULTS, NUMBERS } from "../settings.js";
import { t } from "../words.js";
import { dialWords } from "./dial.js";

/** @param {() => void} close */
export function settingsPanel(close) {
  const { settings } = app;
  const system = h("textarea", {
    id: "system", rows: 4, value: settings.system, dir: "auto", placeholder: t("systemPlaceholder"),
    oninput: () => app.set({ system: system.value }),
  });
  const stop = h("textarea", { id: "stop-strings", rows: 2, value: settings.stop, oninput: () => app.set({ stop: stop.value }) });
  return h("aside.panel", { "aria-label": t("settings"), onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && close() },
    h("header", null, h("h2", null, t("settings")), iconButton("close", t("close"), close)),
    field("system", t("system"), system),
    h("section", null, h("h3", null, t("thinking")), h("p.note", { id: "dial-words" }, dialWords()), h("p.note", null, t("dialWhere"))),
    h("section", null, h("h3", null, t("sampling")), h("p.note", null, t("samplingNote")),
      h("div.numbers", null, NUMBERS.map(number)), field("stop-strings", t("stopStrings"), stop)),
    h("section", null, h("h3", null, t("sure")), sure()),
    h("button.quiet", { type: "button", onclick: () => reset(close) }, t("resetSettings")));
}

/**
 * @param {string} id
 * @param {string} label
 * @param {HTMLElement} control
 */
const field = (id, label, control) => h("div.field", null, h("label", { for: id }, label), control);

/** @param {typeof NUMBERS[number]} bounds */
function number({ name, min, max, step }) {
  const id = `setting-${name}`;
  const value = app.settings[name];
  const fault = h("p.fault", { id: `${id}-fault`, hidden: true }, t("between", { min, max }));
  const input = h("input", {
    id, type: "number", min, max, step: step < 1 ? "any" : step, value: value ?? "", placeholder: t("unset"), "aria-describedby": `${id}-fault`,
    oninput: () => {
      const fine = input.checkValidity();
      fault.hidden = fine;
      input.setAttribute("aria-invalid", String(!fine));
      if (fine) app.set({ [name]: input.value === "" ? null : Number(input.value) });
    },
  });
  return h("div.field", null, h("label", { for: id, title: name }, t(`set_${name}`)), input, fault);
}

function sure() {
  const box = h("input", { type: "checkbox", id: "sure", checked: app.settings.sure, onchange: () => app.set({ sure: box.checked }) });
  const most = h("input", {
    id: "alternatives", type: "number", min: 1, max: 20, step: 1, value: app.settings.alternatives,
    onchange: () => most.checkValidity() && most.value !== "" && app.set({ alternatives: Number(most.value) }),
  });
  return [
    h("div.check", null, box, h("label", { for: "sure" }, t("sureSwitch"))), h("p.note", null, t("sureNote")),
    field("alternatives", t("alternatives"), most),
  ];
}

/** @param {() => void} close */
function reset(close) {
  app.set({ ...DEFAULTS, model: app.settings.model, theme: app.settings.theme });
  close();
}
