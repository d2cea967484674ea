// Small texts that the browser keeps. One that keeps nothing, or has no room, still works for as long as the page is open.

/** A storage of the browser, which never throws. */
class Shelf {
  /** @param {() => Storage} open  throws where a page may keep nothing */
  constructor(open) {
    this.open = open;
    /** What the browser did not take. @type {Map<string, string>} */
    this.here = new Map();
  }

  /** @param {string} name */
  get(name) {
    if (this.here.has(name)) return this.here.get(name) ?? null;
    try {
      return this.open().getItem(name);
    } catch {
      return null;
    }
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  set(name, text) {
    this.here.delete(name);
    try {
      this.open().setItem(name, text);
    } catch {
      this.here.set(name, text);
    }
  }

  /** @param {string} name */
  drop(name) {
    this.here.delete(name);
    try {
      this.open().removeItem(name);
    } catch {
      // Then nothing is there.
    }
  }
}

/** For this browser. */
export const local = new Shelf(() => localStorage);
/** For this tab, until it is closed. */
export const session = new Shelf(() => sessionStorage);
