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
      for (const each of await result(this.database.transaction(STORE).objectStore(STORE).getAll())) this.all.set(each.id, each);
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

  /**
   * One change, committed at once: then it happens even if the page goes away in the next moment.
   * @param {(store: IDBObjectStore) => IDBRequest} change
   * @param {object} said  to the other tabs, when it is done
   */
  write(change, said) {
    if (!this.database) return;
    const transaction = this.database.transaction(STORE, "readwrite");
    transaction.oncomplete = () => this.channel.postMessage(said);
    transaction.onabort = () => this.dispatchEvent(new CustomEvent("full"));
    change(transaction.objectStore(STORE));
    transaction.commit();
  }

  /**
   * Keep a conversation that changed. An answer that grows is written now and then; all else at once.
   * @param {Conversation} conversation
   * @param {"changed" | "moved" | "grows"} how  moved: another branch is shown, and nothing new was said
   */
  save(conversation, how = "changed") {
    if (how === "changed") conversation.updated = Date.now();
    this.all.set(conversation.id, conversation);
    if (how !== "grows") this.put(conversation.id);
    else if (!this.waiting.has(conversation.id)) {
      this.waiting.set(conversation.id, setTimeout(() => this.put(conversation.id), 500));
    }
    if (how === "changed") this.changed();
  }

  /** @param {string} id */
  put(id) {
    clearTimeout(this.waiting.get(id));
    this.waiting.delete(id);
    const conversation = this.all.get(id);
    if (conversation) this.write((store) => store.put(conversation), { saved: id });
  }

  flush() {
    for (const id of [...this.waiting.keys()]) this.put(id);
  }

  /** @param {string} id */
  remove(id) {
    clearTimeout(this.waiting.get(id));
    this.waiting.delete(id);
    this.all.delete(id);
    this.write((store) => store.delete(id), { removed: id });
    this.changed();
  }

  /** @param {{ saved?: string, removed?: string }} said */
  async heard(said) {
    if (said.removed) this.all.delete(said.removed);
    if (said.saved && this.database) {
      const found = await result(this.database.transaction(STORE).objectStore(STORE).get(said.saved));
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
