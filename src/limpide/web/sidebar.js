// The list of conversations, and the way to the other views.

import { app } from "./app.js";
import { announce } from "./clipboard.js";
import { matches } from "./conversation.js";
import { fill, h, icon, iconButton, svg } from "./dom.js";
import { NotRead, readFile } from "./exchange/files.js";
import { THEMES } from "./settings.js";
import { visible, visibleText } from "./visible.js";
import { moment, t } from "./words.js";

const MOST_SHOWN = 200;

export class Sidebar {
  constructor() {
    this.search = h("input", { type: "search", "aria-label": t("search"), placeholder: t("search"), oninput: () => this.showList() });
    this.list = h("ul.conversations", { "aria-label": t("conversations") });
    this.places = h("ul.places");
    this.picker = h("input", { type: "file", accept: ".json,.md,.markdown", multiple: true, hidden: true, onchange: () => this.import() });
    this.element = h("nav.sidebar", { "aria-label": t("navigation"), id: "sidebar" },
      h("div.brand", null, svg("svg", { viewBox: "0 0 32 32", class: "brand-drop", "aria-hidden": "true" }, svg("path", { d: "M16 3c5.5 6.6 9 11.2 9 16a9 9 0 0 1-18 0c0-4.8 3.5-9.4 9-16z" })), h("span", null, "Limpide")),
      h("a.new-chat", { href: "#/chat", title: "Alt+N" }, icon("plus"), t("newChat")),
      this.search, this.list, this.places,
      h("div.sidebar-foot", null, this.theme(), this.picker,
        iconButton("into", t("import"), () => this.picker.click())));
    app.library.addEventListener("change", () => this.showList());
    addEventListener("hashchange", () => this.show());
    this.show();
  }

  show() {
    this.showList();
    const here = location.hash.split("/")[1] || "chat";
    fill(this.places, /** @type {const} */ (["compare", "models", "machine"]).map((place) =>
      h("li", null, h("a", { href: `#/${place}`, "aria-current": here === place && "page" }, t(`view_${place}`)))));
  }

  showList() {
    const open = location.hash.split("/")[2];
    const found = app.library.list.filter((conversation) => matches(conversation, this.search.value));
    fill(this.list, found.slice(0, MOST_SHOWN).map((conversation) => {
      const title = visibleText(conversation.title) || t("untitled");
      return h("li", null,
        h("a", { href: `#/chat/${conversation.id}`, "aria-current": conversation.id === open && "page", title: moment(conversation.updated), dir: "auto" }, visible(conversation.title || t("untitled"))),
        iconButton("trash", t("delete", { title }), () => this.remove(conversation)));
    }), !found.length && h("li.note", null, t(this.search.value ? "nothingFound" : "noConversations")));
  }

  /** @param {import("./conversation.js").Conversation} conversation */
  remove(conversation) {
    const dialog = h("dialog.card", { "aria-labelledby": "delete-title", onclose: () => dialog.remove() },
      h("h2", { id: "delete-title" }, t("deleteTitle")), h("p", { dir: "auto" }, visible(conversation.title)), h("p.note", null, t("deleteNote")),
      h("div.actions", null, h("button.quiet", { type: "button", onclick: () => dialog.close() }, t("cancel")),
        h("button.danger", { type: "button", onclick: () => { dialog.close(); this.removeNow(conversation.id); } }, t("deleteNow"))));
    document.body.append(dialog);
    dialog.showModal();
  }

  /** @param {string} id */
  removeNow(id) {
    app.library.remove(id);
    announce(t("deleted"));
    this.search.focus();
  }

  async import() {
    for (const file of this.picker.files) {
      try {
        const conversation = await readFile(file);
        app.library.save(conversation, ...Object.values(conversation.turns));
        location.hash = `#/chat/${conversation.id}`;
      } catch (error) {
        if (!(error instanceof NotRead)) throw error;
        announce(`${visibleText(file.name)}: ${error.message}`);
      }
    }
    this.picker.value = "";
  }

  theme() {
    const select = h("select.bare", { "aria-label": t("theme"), onchange: () => app.set({ theme: select.value }) },
      THEMES.map((theme) => h("option", { value: theme, selected: app.settings.theme === theme }, t(`theme_${theme}`))));
    return select;
  }
}
