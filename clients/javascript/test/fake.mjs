/** A WebSocket whose other side is the test, and a clock that the test moves. */
import { mock } from "node:test";
import { connect } from "../../../glyph_fast/javascript/glyph-fast.mjs";

export class FakeSocket {
  static all = [];
  readyState = 0;
  sent = [];
  closedWith = undefined;

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    FakeSocket.all.push(this);
  }

  send(data) {
    if (this.readyState != 1) throw new Error("not open");
    this.sent.push(data);
  }

  close(code) {
    this.closedWith = code ?? null;
    this.readyState = 3;
  }

  // The server's side.

  open() {
    this.readyState = 1;
    this.onopen?.({});
    return this;
  }

  say(message) {
    this.onmessage?.({ data: typeof message == "string" ? message : JSON.stringify(message) });
  }

  end(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  /** What was sent since the last call, without pings. */
  take() {
    const found = this.sent.splice(0).map((each) => JSON.parse(each));
    return found.filter((each) => each.type != "ping");
  }

  /** Answer a question of the client. */
  answer(question, data) {
    this.say({ type: "json", data, target: "me", id: question.id });
  }

  refuse(question, error) {
    this.say({ type: "error", data: { error }, target: "me", id: question.id });
  }

  /** Answer the ping that was sent as it opened, by which it counts as open. */
  pong() {
    const ping = this.sent.map((each) => JSON.parse(each)).findLast((each) => each.type == "ping");
    this.sent = this.sent.filter((each) => JSON.parse(each).id != ping.id);
    this.say({ type: "pong", data: { timestamp: null }, target: "me", id: ping.id });
    return this;
  }
}

/** The listeners of a page, and whether it is online and in view. */
export class FakePage {
  listeners = new Map();
  onLine = true;
  hidden = false;

  constructor() {
    const addEventListener = (name, listener) => {
      if (!this.listeners.has(name)) this.listeners.set(name, new Set());
      this.listeners.get(name).add(listener);
    };
    const removeEventListener = (name, listener) => this.listeners.get(name)?.delete(listener);
    const page = this;
    Object.assign(globalThis, { addEventListener, removeEventListener });
    globalThis.document = {
      addEventListener,
      removeEventListener,
      get hidden() {
        return page.hidden;
      },
    };
    Object.defineProperty(globalThis, "navigator", {
      configurable: true,
      value: {
        get onLine() {
          return page.onLine;
        },
      },
    });
  }

  fire(name) {
    for (const listener of this.listeners.get(name) ?? []) listener({});
  }

  get count() {
    return [...this.listeners.values()].reduce((sum, each) => sum + each.size, 0);
  }

  leave() {
    for (const name of ["addEventListener", "removeEventListener", "document"]) delete globalThis[name];
    delete globalThis.navigator;
  }
}

/** Let what waits for nothing but promises happen. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await null;
}

/** One client with a fake clock and sockets; `client.sockets` are all that it has opened. */
export class Bench {
  constructor() {
    FakeSocket.all = [];
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_700_000_000_000 });
    mock.method(Math, "random", () => 0.5);
    this.states = [];
    this.errors = [];
  }

  connect(options = {}) {
    this.server = connect("ws://server.test/ws", { WebSocket: FakeSocket, events: false, ...options });
    this.server.on("state", (state, why) => this.states.push([state, why.code]));
    this.server.on("error", (error) => this.errors.push(error.message));
    return this.server;
  }

  get sockets() {
    return FakeSocket.all;
  }

  get socket() {
    return FakeSocket.all.at(-1);
  }

  /** The next socket, open and known to be so. */
  async open() {
    await settle();
    return this.socket.open().pong();
  }

  async pass(milliseconds) {
    mock.timers.tick(milliseconds);
    await settle();
  }

  /** End the socket, wait out the pause, and open the next one. */
  async again(code = 1006) {
    this.socket.end(code);
    await this.pass(30_000);
    return this.open();
  }

  end() {
    this.server?.close();
    mock.timers.reset();
    mock.restoreAll();
  }
}

/** What happened to a promise: "pending", its value, or its error. */
export function fate(promise) {
  const found = { state: "pending" };
  promise.then(
    (value) => Object.assign(found, { state: "resolved", value }),
    (error) => Object.assign(found, { state: "rejected", error: error.message, maybeSent: error.maybeSent }),
  );
  return found;
}
