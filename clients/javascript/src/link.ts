/** One WebSocket that is opened again whenever it is lost, unless its end is final.
 *
 * docs/clients.md has the states and what leads from one to the next. A socket counts as open once
 * something came from it, or after a second: one that is refused opens first, too. */
import { openEvents } from "./events.js";
import type { Options, State, Why } from "./types.js";

// Constant enumerations are numbers in what is built, without a name.

const enum Wait { // milliseconds
  First = 500,
  Last = 20_000,
  Open = 10_000,
  Confirm = 1_000,
  Stable = 5_000, // an end that comes sooner does not shorten the pauses
  Silence = 20_000,
  Answer = 10_000,
}

const enum Code {
  Normal = 1000,
  Lost = 1006,
  Expired = 4401,
}

/** Codes after which nobody should come back. Two are the server's and pass: 4008, too slow, and 4503,
 * too many connections or on its way down. */
const FINAL = /^(?!4008|4503)(100[023789]|3[5-9]..|4[0-35-9]..|4403)$/;

/** Who is told. */
export interface Owner {
  _up(): void; // there is a socket
  _heard(data: any): void;
  _down(): void; // there is none any more
  _changed(): void; // the state
  _failed(error: any): void;
  _ping(): void;
}

export class Link {
  _state: State = "connecting";
  _why: Why = { code: 0, reason: "", retryAt: 0 };
  _token: string | null | undefined;
  _answersPings = false;
  /** Counts sockets and pauses: what was meant for an earlier one ends. */
  _attempt = 0;
  private _url: string;
  private _options: Options;
  private _owner: Owner;
  _socket: any = null;
  private _timer: any;
  private _tries = 0;
  private _openedAt = 0;
  private _heardAt = 0; // 0: nothing came since the latest probe
  private _wasDenied = false;
  private _events?: string | false; // where a stream of events is, while no WebSocket has opened

  constructor(url: string, options: Options, owner: Owner) {
    this._url = url;
    this._options = options;
    this._owner = owner;
    this._outside("add");
    this._connect();
  }

  /** Send now, if there is a socket that takes it. */
  _send(data: any): boolean {
    if (this._socket?.readyState != 1) return false;
    this._socket.send(data);
    return true;
  }

  /** Do not wait for the next attempt. */
  _retry(): void {
    if (this._state != "waiting" && this._state != "offline") return;
    this._tries = 0;
    this._connect();
  }

  _finish(code: number, reason: string): void {
    if (this._state == "closed") return;
    this._outside("remove");
    this._drop(Code.Normal);
    this._become("closed", code, reason);
  }

  get _canRenew(): boolean {
    return typeof this._options.token == "function";
  }

  /** Ask for the token again. */
  async _renew(): Promise<string | null | undefined> {
    const { token } = this._options;
    return (this._token = typeof token == "function" ? await token() : token);
  }

  private async _connect(): Promise<void> {
    const attempt = this._begin(); // first: whoever is told may end it
    this._become("connecting");
    try {
      if (attempt == this._attempt && !this._token) await this._renew();
      if (attempt == this._attempt) this._open(attempt);
    } catch (error) {
      // The program's own: its token, or an address or a token that cannot be sent.
      if (attempt != this._attempt) return;
      this._owner._failed(error);
      this._lost(Code.Lost, String(error));
    }
  }

  private _open(attempt: number): void {
    const Socket = this._options.WebSocket ?? (globalThis as any).WebSocket;
    const socket = (this._socket = this._events
      ? openEvents(new URL(this._events, this._url.replace("ws", "http")), this._token)
      : new Socket(this._url, ["glyph-fast", ...(this._token ? ["bearer", this._token] : [])]));
    const now = (action: (event: any) => void) => (event: any) => {
      if (attempt == this._attempt) action(event);
    };
    socket.binaryType = "arraybuffer";
    socket.onopen = now(() => {
      this._after(Wait.Confirm, () => this._confirm());
      this._owner._up();
      this._ping();
    });
    socket.onmessage = now(({ data }) => {
      this._heardAt = Date.now();
      if (this._state != "open") this._confirm();
      try {
        if (attempt == this._attempt) this._owner._heard(data);
      } catch {
        this._lost(Code.Lost, "no answer"); // of this protocol
      }
    });
    socket.onclose = now(({ code, reason }) => this._lost(code, reason));
    socket.onerror = () => {}; // `close` follows
    this._after(Wait.Open, () => this._lost(Code.Lost, "no answer"));
  }

  private _confirm(): void {
    this._wasDenied = false;
    this._openedAt = this._heardAt = Date.now();
    this._watch();
    this._become("open");
  }

  private _ping(): void {
    if (this._options.ping !== false) this._owner._ping();
  }

  /** Look again when the silence would be long enough. */
  private _watch(): void {
    this._after(this._heardAt + Wait.Silence - Date.now(), () => {
      if (Date.now() - this._heardAt < Wait.Silence) this._watch();
      else this._probe();
    });
  }

  /** Find out whether the other side is still there. */
  private _probe(): void {
    if (!this._answersPings) return this._after(Wait.Silence, () => this._watch());
    this._ping();
    this._heardAt = 0;
    const asked = Date.now();
    this._after(Wait.Answer, () => {
      if (this._heardAt) this._watch();
      // So late that the machine has slept: what came meanwhile is still to be heard.
      else if (Date.now() - asked > Wait.Silence) this._probe();
      else this._lost(Code.Lost, "no answer");
    });
  }

  private _lost(code: number, reason: string): void {
    const isStable = this._state == "open" && Date.now() - this._openedAt > Wait.Stable;
    const isExpired = code == Code.Expired;
    if (FINAL.test(code as any) || (isExpired && (this._wasDenied || !this._canRenew))) {
      return this._finish(code, reason);
    }
    // 1006, or 0 in Deno, of what did not open; nothing did where there is no socket.
    const isBlocked = !(code % Code.Lost) && !this._openedAt && this._socket;
    this._drop();
    if (isBlocked && (this._events = this._events ? "" : this._options.events ?? "/events")) {
      return this._open(this._attempt);
    }
    if (isStable) this._tries = 0;
    if (isExpired) {
      this._wasDenied = true;
      this._token = null;
    }
    if (globalThis.navigator?.onLine === false) return this._become("offline", code, reason);
    const delay = Math.random() * Math.min(Wait.Last, Wait.First * 2 ** this._tries++);
    this._after(delay, () => this._connect());
    this._become("waiting", code, reason, Date.now() + delay);
  }

  private _begin(): number {
    clearTimeout(this._timer);
    return ++this._attempt;
  }

  private _drop(code?: number): void {
    this._begin();
    const socket = this._socket;
    this._socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(code);
    }
    this._owner._down();
  }

  private _become(state: State, code = this._why.code, reason = this._why.reason, retryAt = 0): void {
    const isNew = state != this._state;
    this._state = state;
    this._why = { code, reason, retryAt };
    if (isNew) this._owner._changed();
  }

  private _after(delay: number, action: () => void): void {
    clearTimeout(this._timer);
    this._timer = setTimeout(action, delay);
  }

  // What a page is told about the network and itself.

  private _awake = (): void => {
    if (globalThis.document?.hidden) return;
    if (this._state == "open") this._probe();
    else this._retry();
  };

  private _asleep = (): void => {
    if (this._state == "open") this._probe();
    if (this._state != "waiting") return;
    this._begin();
    this._become("offline");
  };

  private _outside(verb: "add" | "remove"): void {
    for (const [target, name, listener] of [
      [globalThis, "online", this._awake],
      [globalThis, "offline", this._asleep],
      [globalThis.document, "visibilitychange", this._awake],
    ] as any[]) {
      target?.[verb + "EventListener"]?.(name, listener);
    }
  }
}
