/** Functions to be called, by name. */
import type { Off } from "./types.js";

export class Handlers {
  private _lists = new Map<string, Set<(...args: any[]) => any>>();

  _add(name: string, handler: (...args: any[]) => any): Off {
    const list = this._lists.get(name) ?? new Set();
    this._lists.set(name, list.add(handler));
    return () => list.delete(handler);
  }

  /** Call them all. What one throws is reported as of an event of the page: the others are called.
   *
   * Returned are the results. */
  _emit(name: string, ...args: any[]): any[] {
    return [...(this._lists.get(name) ?? [])].map((handler) => {
      try {
        return handler(...args);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    });
  }

  /** The result of the first that returns one. Throws what a handler throws, and where none is. */
  async _first(name: string, ...args: any[]): Promise<any> {
    const handlers = [...(this._lists.get(name) ?? [])];
    if (!handlers.length) throw new Error("no handler");
    const results = await Promise.all(handlers.map(async (handler) => handler(...args)));
    return results.find((each) => each !== undefined) ?? null;
  }
}
