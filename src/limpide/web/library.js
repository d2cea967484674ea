// The conversations: in this browser's database, and nowhere else.

/** @typedef {import("./conversation.js").Conversation} Conversation */

const NAME = "limpide";
const STORE = "conversations";

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const result = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Knows all conversations, and tells when they change, in this tab or another. */
export class Library extends EventTarget {
  constructor() {
    super();
    /** @type {Map<string, Conversation>} */
    this.all = new Map();
    /** @type {IDBDatabase | null} */
    this.database = null;
    /** @type {Map<string, number>} */
    this.waiting = new Map();
    this.channel = new BroadcastChannel(NAME);
    this.channel.onmessage = (event) => this.heard(event.data);
    addEventListener("pagehide", () => this.flush());
    document.addEventListener("visibilitychange", () => document.hidden && this.flush());
  }

  /** Read what is kept. Without a database, as in some private windows, conversations live as long as the page. */
  async open() {
    try {
      const opening = indexedDB.open(NAME, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "id" });
      this.database = await result(opening);
      for (const each of await result(this.store("readonly").getAll())) this.all.set(each.id, each);
    } catch {
      this.database = null;
    }
    for (const conversation of this.all.values()) breakOff(conversation);
  }

  get kept() {
    return this.database !== null;
  }

  /** Latest first. */
  get list() {
    return [...this.all.values()].sort((one, other) => other.updated - one.updated);
  }

  /** @param {IDBTransactionMode} mode */
  store(mode) {
    if (!this.database) throw new Error("no database");
    return this.database.transaction(STORE, mode).objectStore(STORE);
  }

  /**
   * Something in it changed. It is written a moment later, however much changes until then.
   * @param {Conversation} conversation
   * @param {boolean} [quietly]  nothing of it shows in the list
   */
  save(conversation, quietly = false) {
    if (!quietly) conversation.updated = Date.now();
    const isNew = !this.all.has(conversation.id);
    this.all.set(conversation.id, conversation);
    if (!this.waiting.has(conversation.id)) {
      this.waiting.set(conversation.id, setTimeout(() => this.write(conversation.id), 300));
    }
    if (isNew || !quietly) this.changed();
  }

  /** @param {string} id */
  write(id) {
    clearTimeout(this.waiting.get(id));
    this.waiting.delete(id);
    const conversation = this.all.get(id);
    if (!conversation || !this.database) return;
    const putting = this.store("readwrite").put(conversation);
    putting.onsuccess = () => this.channel.postMessage({ saved: id });
    putting.onerror = () => this.dispatchEvent(new CustomEvent("full"));
  }

  flush() {
    for (const id of [...this.waiting.keys()]) this.write(id);
  }

  /** @param {string} id */
  remove(id) {
    clearTimeout(this.waiting.get(id));
    this.waiting.delete(id);
    this.all.delete(id);
    if (this.database) this.store("readwrite").delete(id).onsuccess = () => this.channel.postMessage({ removed: id });
    this.changed();
  }

  /** @param {{ saved?: string, removed?: string }} said */
  async heard(said) {
    if (said.removed) this.all.delete(said.removed);
    if (said.saved && this.database) {
      const found = await result(this.store("readonly").get(said.saved));
      if (found) this.all.set(found.id, found);
    }
    this.dispatchEvent(new CustomEvent("elsewhere", { detail: said.saved ?? said.removed }));
    this.changed();
  }

  changed() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}

/**
 * An answer that was being written when the page went away: the server stopped with it.
 * @param {Conversation} conversation
 */
function breakOff(conversation) {
  for (const turn of Object.values(conversation.turns)) if (turn.state === "writing") turn.state = "broken";
}
