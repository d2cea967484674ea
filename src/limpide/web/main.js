// Begins here: the frame of the page, and which view is shown in it.

import { ApiError } from "./api.js";
import { app } from "./app.js";
import { fill, h, iconButton } from "./dom.js";
import { Sidebar } from "./sidebar.js";
import { ChatView } from "./views/chat.js";
import { CompareView } from "./views/compare.js";
import { MachineView } from "./views/machine.js";
import { ModelsView } from "./views/models.js";
import { locale, t } from "./words.js";

/** @typedef {{ element: HTMLElement, leave: () => void }} View */

const main = h("main", { id: "main", tabindex: -1 });
const notice = h("div.notice", { role: "alert", hidden: true });
/** @type {View | null} */
let view = null;

function show() {
  const [, place = "chat", id = null] = location.hash.split("/");
  view?.leave();
  document.body.classList.remove("with-sidebar");
  view = place === "models" ? new ModelsView() : place === "machine" ? new MachineView() : place === "compare" ? new CompareView() : new ChatView(id);
  fill(main, view.element);
}

function showTheme() {
  const { theme } = app.settings;
  document.documentElement.dataset.theme = theme;
}

let connecting = 0;

/** Ask the server what it has, until it answers. */
async function connect() {
  clearTimeout(connecting);
  try {
    await app.readModels();
    notice.hidden = true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    tell(h("p.multi-line", null, h("strong", null, error.message), " ", error.advice),
      h("button.quiet.small", { type: "button", onclick: connect }, t("tryAgain")));
    if (error.status === 0) connecting = setTimeout(connect, 3000);
  }
}

/** Say something above all views, until it is no longer so. @param {...HTMLElement} words */
function tell(...words) {
  fill(notice, words);
  notice.hidden = false;
}

/** A file that is dropped beside the place for files shall not replace the page. @param {DragEvent} event */
function dragged(event) {
  if (!event.defaultPrevented && event.dataTransfer?.types.includes("Files")) {
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  }
}

/** @param {KeyboardEvent} event */
function shortcut(event) {
  if (event.key === "Escape" && document.body.classList.contains("with-sidebar")) document.body.classList.remove("with-sidebar");
  if (!event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.code === "KeyN") location.hash = "#/chat";
  else if (event.code === "KeyK") sidebar.search.focus();
  else if (event.code === "KeyS" && view instanceof ChatView) view.togglePanel();
  else if (event.code === "Period" && view instanceof ChatView) view.stop();
  else return;
  event.preventDefault();
}

document.documentElement.lang = locale;
showTheme();
app.addEventListener("settings", showTheme);
app.library.addEventListener("full", () => tell(h("p", null, t("full"))));
await app.library.open();
const sidebar = new Sidebar();
const toggle = iconButton("menu", t("menu"), () => document.body.classList.toggle("with-sidebar"), { "aria-controls": "sidebar", class: "icon-button menu-button" });
fill(document.body,
  h("a.skip", { href: "#main", onclick: (/** @type {Event} */ event) => { event.preventDefault(); main.focus(); } }, t("skip")),
  toggle, sidebar.element, h("div.veil", { onclick: () => document.body.classList.remove("with-sidebar") }),
  h("div.stage", null, notice, main), h("div.announcements", { id: "announcements", role: "status" }));
addEventListener("hashchange", show);
addEventListener("keydown", shortcut);
addEventListener("dragover", dragged);
addEventListener("drop", dragged);
show();
await connect();
document.documentElement.dataset.ready = "true";
