// The conversations: in this browser's database, and nowhere else.

import { pathTo } from "./conversation.js";

/**
 * @typedef {import("./conversation.js").Conversation} Conversation
 * @typedef {import("./conversation.js").Turn} Turn
 * @typedef {Omit<Conversation, "turns">} Head
 * @typedef {{ saved: string, turns: string[] } | { removed: string } | { asks: true }} Said  what tabs tell each other
 */

const NAME = "limpide";
const VERSION = 2;
/** Conversations without their turns. */
const HEADS = "heads";
/** Turns, by conversation and id: a tab writes those alone that it made, so that two never undo each other's work. */
const TURNS = "turns";
const GROWS_EVERY = 500;

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const result = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** All keys of the turns of a conversation: an array comes after every string. @param {string} id */
const turnsOf = (id) => IDBKeyRange.bound([id], [id, []]);

/**
 * Knows all conversations. Its events: `change`; `elsewhere` when another tab said something in one; `removed`, here or
 * elsewhere; `asked` when another tab wants to know what is being written here; `full` when something could not be kept.
 */
export class Library extends EventTarget {
  constructor() {
    super();
    /** @type {Map<string, Conversation>} */
    this.all = new Map();
    /** @type {IDBDatabase | null} */
    this.database = null;
    /** Turns that grow, and are kept a little later. @type {Map<string, { conversation: Conversation, turn: Turn, timer: number }>} */
    this.waiting = new Map();
    /** What was deleted stays deleted, also if an answer in it still grows. @type {Set<string>} */
    this.removed = new Set();
    this.channel = new BroadcastChannel(NAME);
    this.channel.onmessage = (event) => this.heard(event.data);
    addEventListener("pagehide", () => this.flush());
    document.addEventListener("visibilitychange", () => document.hidden && this.flush());
  }

  /** Read what is kept. Without a database, as in some private windows, conversations live as long as the page. */
  async open() {
    try {
      const opening = indexedDB.open(NAME, VERSION);
      opening.onupgradeneeded = () => create(opening.result);
      this.database = await result(opening);
      this.database.onversionchange = () => this.database?.close();
      await this.readAll(this.database);
    } catch {
      this.database = null;
    }
    for (const conversation of this.all.values()) breakOff(conversation);
    this.channel.postMessage(/** @type {Said} */ ({ asks: true }));
  }

  /** @param {IDBDatabase} database */
  async readAll(database) {
    const transaction = database.transaction([HEADS, TURNS]);
    const turns = transaction.objectStore(TURNS);
    const [heads, keys, values] = await Promise.all([result(transaction.objectStore(HEADS).getAll()), result(turns.getAllKeys()), result(turns.getAll())]);
    for (const head of heads) this.all.set(head.id, { ...head, turns: {} });
    for (const [at, turn] of values.entries()) {
      const conversation = this.all.get(/** @type {string[]} */ (keys[at])[0]);
      if (conversation) conversation.turns[turn.id] = turn;
    }
  }

  get kept() {
    return this.database !== null;
  }

  /** Latest first. */
  get list() {
    return [...this.all.values()].sort((one, other) => other.updated - one.updated);
  }

  /**
   * Keep a conversation in which something was said.
   * @param {Conversation} conversation
   * @param {...Turn} turns  those that are new, or complete
   */
  save(conversation, ...turns) {
    conversation.updated = Date.now();
    this.put(conversation, turns);
    this.changed();
  }

  /**
   * Keep which branch is shown.
   * @param {Conversation} conversation
   */
  move(conversation) {
    this.put(conversation, []);
  }

  /**
   * Keep a turn that grows, now and then.
   * @param {Conversation} conversation
   * @param {Turn} turn
   */
  grow(conversation, turn) {
    if (this.waiting.has(turn.id)) return;
    this.waiting.set(turn.id, { conversation, turn, timer: setTimeout(() => this.put(conversation, [turn]), GROWS_EVERY) });
  }

  flush() {
    for (const { conversation, turn } of [...this.waiting.values()]) this.put(conversation, [turn]);
  }

  /**
   * @param {Conversation} conversation
   * @param {Turn[]} changed
   */
  put(conversation, changed) {
    for (const turn of changed) this.forget(turn.id);
    if (this.removed.has(conversation.id)) return;
    this.all.set(conversation.id, conversation);
    const { turns: _, ...head } = conversation;
    this.write({ saved: conversation.id, turns: changed.map((turn) => turn.id) }, (heads, turns) => {
      heads.put(head);
      for (const turn of changed) turns.put(turn, [conversation.id, turn.id]);
    });
  }

  /** @param {string} turn */
  forget(turn) {
    clearTimeout(this.waiting.get(turn)?.timer);
    this.waiting.delete(turn);
  }

  /** @param {string} id */
  remove(id) {
    this.drop(id);
    this.write({ removed: id }, (heads, turns) => {
      heads.delete(id);
      turns.delete(turnsOf(id));
    });
    this.changed();
  }

  /** @param {string} id */
  drop(id) {
    const conversation = this.all.get(id);
    this.removed.add(id);
    this.all.delete(id);
    for (const turn of Object.keys(conversation?.turns ?? {})) this.forget(turn);
    if (conversation) this.dispatchEvent(new CustomEvent("removed", { detail: conversation }));
  }

  /**
   * One change, committed at once: then it happens even if the page goes away in the next moment.
   * @param {Said} said  to the other tabs, when it is done
   * @param {(heads: IDBObjectStore, turns: IDBObjectStore) => void} change
   */
  write(said, change) {
    if (!this.database) return;
    try {
      const transaction = this.database.transaction([HEADS, TURNS], "readwrite");
      transaction.oncomplete = () => this.channel.postMessage(said);
      transaction.onabort = () => this.dispatchEvent(new CustomEvent("full"));
      change(transaction.objectStore(HEADS), transaction.objectStore(TURNS));
      transaction.commit();
    } catch {
      // The browser closed it: it does so when its data are cleared.
      this.dispatchEvent(new CustomEvent("full"));
    }
  }

  /** @param {Said} said */
  async heard(said) {
    if ("asks" in said) return this.dispatchEvent(new CustomEvent("asked"));
    if ("removed" in said) this.drop(said.removed);
    else if (this.database && !this.removed.has(said.saved)) {
      await this.readFrom(this.database, said.saved, said.turns);
      this.dispatchEvent(new CustomEvent("elsewhere", { detail: said.saved }));
    }
    return this.changed();
  }

  /**
   * Take over what another tab wrote. Turns that are known stay the objects that they are, since they are being shown.
   * @param {IDBDatabase} database
   * @param {string} id
   * @param {string[]} changed
   */
  async readFrom(database, id, changed) {
    const transaction = database.transaction([HEADS, TURNS]);
    const store = transaction.objectStore(TURNS);
    const reading = this.all.has(id) ? Promise.all(changed.map((turn) => result(store.get([id, turn])))) : result(store.getAll(turnsOf(id)));
    /** @type {[Head | undefined, (Turn | undefined)[]]} */
    const [head, turns] = await Promise.all([result(transaction.objectStore(HEADS).get(id)), reading]);
    if (!head) return;
    const known = this.all.get(id) ?? { ...head, turns: {} };
    this.all.set(id, known);
    for (const turn of turns) if (turn) known.turns[turn.id] = Object.assign(known.turns[turn.id] ?? {}, turn);
    Object.assign(known, { title: head.title, updated: head.updated });
    // Follow what goes on from what is shown here; another branch is the other tab's to look at.
    if (pathTo(known, head.leaf).some((turn) => turn.id === known.leaf)) known.leaf = head.leaf;
  }

  changed() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}

/** @param {IDBDatabase} database */
function create(database) {
  for (const name of database.objectStoreNames) database.deleteObjectStore(name);
  database.createObjectStore(HEADS, { keyPath: "id" });
  database.createObjectStore(TURNS);
}

/**
 * An answer that was being written when the page went away: the server stopped with it. If it is another tab's, and goes
 * on, that tab says so.
 * @param {Conversation} conversation
 */
function breakOff(conversation) {
  for (const turn of Object.values(conversation.turns)) if (turn.state === "writing") turn.state = "broken";
}
