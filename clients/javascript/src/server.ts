/** Rooms, calls both ways and events, over a link that comes back. */
import { Handlers } from "./handlers.js";
import { Link } from "./link.js";
import { ClientRoom } from "./room.js";
import { GlyphError } from "./types.js";
import type { JoinOptions, Off, Options, Room, Server, State, Why } from "./types.js";

const enum Wait { // milliseconds
  Again = 10_000, // without an answer: it may have been dropped on the way
  Call = 10_000,
  Pong = 5_000,
  Refused = 500, // of which "try again" makes a second or so
  RefusedLong = 5_000,
  Longest = 1e9, // of a timer: eleven days
}
const enum Most {
  Waiting = 10_000, // publishes and calls without an answer
  Unread = 1e8, // bytes of what was sent, beyond which no call of the server's is answered
}
export const enum Says {
  TryAgain = "try again", // a server that cannot do it now
}
const OWN = ["state", "error", "message"]; // names of `on` that are no events of the program
const OF_ROOMS = ["json", "text", "binary", "skip", "presence", "room_reset"]; // types

/** Called once, with an answer or with why there is none. */
export type Done = (error: GlyphError | null, found?: any) => void;

/** Something sent that is answered under its id. */
interface Question {
  text: string;
  done: Done;
  room?: ClientRoom; // whose business it is
  until?: number; // when asking again would be too late; without, "try again" is done here
  isCall?: boolean; // is asked once at most, and only of a server that lets us in
  isAsked?: boolean;
  timer?: any; // asks again, or ends a call
  pause?: number; // ms, the latest after "try again"
}

/** The next pause after "try again": about a second, then longer, up to five. */
export function longer(pause?: number): number {
  return Math.min((pause || Wait.Refused) * (1.5 + Math.random()), Wait.RefusedLong);
}

export class Client implements Server {
  id: string | undefined;
  _isUp = false;
  _rooms = new Map<string, ClientRoom>();
  _questions = new Map<string, Question>();
  _events = new Handlers();
  private _own = new Handlers();
  private _prefix = this._random().slice(0, 6); // what others send must not look like an answer
  private _count = 0;
  private _early: any[] | undefined = []; // sent before the first connection was open
  private _waiting = 0;
  private _renewal: any;
  private _link: Link;

  constructor(url: string, options: Options) {
    this._link = new Link(url, options, this);
  }

  get state(): State {
    return this._link._state;
  }

  get why(): Why {
    return this._link._why;
  }

  on(event: string, handler: (...args: any[]) => any): Off {
    return (OWN.includes(event) ? this._own : this._events)._add(event, handler);
  }

  join(name: string, options: JoinOptions = {}): Room {
    let room = this._rooms.get(name);
    if (!room) {
      room = new ClientRoom(this, name, options);
      this._rooms.set(name, room);
      if (this._isUp) room._join();
    }
    return room;
  }

  call(event: string, data: any = null, { timeout = Wait.Call } = {}): Promise<any> {
    return this._promise((done) => {
      const id = this._next();
      const text = JSON.stringify({ type: "json", event, data, id });
      const question: Question = { text, done, until: Infinity, isCall: true };
      const late = () => this._end(id, new GlyphError("no answer in time", question.isAsked));
      question.timer = setTimeout(late, Math.min(timeout, Wait.Longest));
      this._questions.set(id, question);
      if (this.state == "open") this._put(id, question);
    });
  }

  send(data: unknown): boolean {
    const isPlain = typeof data == "string" || data instanceof ArrayBuffer || ArrayBuffer.isView(data);
    const text: any = isPlain ? data : JSON.stringify(data);
    const early = this._early;
    // A copy: the program may write on in its bytes.
    if (early) return early.length < Most.Waiting && !!early.push(structuredClone(text));
    return this.state == "open" && this._link._send(text);
  }

  retry(): void {
    this._link._retry();
  }

  close(): void {
    this._link._finish(1000, "closed");
  }

  // What rooms need.

  /** Send a message with an id of its own until there is an answer, or the socket is lost. */
  _ask(message: object, done: Done, room?: ClientRoom, until?: number): void {
    const id = this._next();
    this._pose(id, JSON.stringify({ ...message, id }), done, room, until);
  }

  /** The same with `text`, which has the id, unless it is late. */
  _pose(id: string, text: string, done: Done, room?: ClientRoom, until?: number): void {
    const question = { text, done, room, until };
    this._questions.set(id, question);
    if (this._isUp) this._put(id, question);
    else this._end(id, new GlyphError("not connected"));
  }

  _next(): string {
    return this._prefix + ++this._count;
  }

  /** An id that nobody guesses and that nobody else draws. */
  _random(): string {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (each) => (256 + each).toString(16).slice(1)).join("");
  }

  _has(room: ClientRoom): boolean {
    return this._rooms.get(room.name) == room;
  }

  _promise<T>(begin: (done: (error: any, value?: any) => void) => void): Promise<T> {
    const promise = new Promise<T>((resolve, reject) => {
      if (this.state == "closed") throw new GlyphError("closed");
      if (this._waiting >= Most.Waiting) throw new GlyphError("too much waits");
      begin((error, value) => {
        this._waiting--;
        if (error) reject(error);
        else resolve(value);
      });
      this._waiting++;
    });
    promise.catch(() => {}); // whoever does not look at it does not care
    return promise;
  }

  // What the link tells.

  _up(): void {
    this._isUp = true;
    for (const room of this._rooms.values()) room._join();
    this._planRenewal();
  }

  _down(): void {
    this._isUp = false;
    this.id = undefined;
    clearTimeout(this._renewal);
    for (const [id, { isAsked, isCall }] of this._questions) {
      if (isAsked || !isCall) this._end(id, new GlyphError("connection lost", isCall));
    }
    for (const room of this._rooms.values()) room._down();
  }

  _changed(): void {
    const { state, why } = this;
    const isOver = state == "closed";
    if (isOver || state == "open") {
      this._early?.forEach((each) => this._link._send(each));
      this._early = undefined;
      for (const [id, question] of this._questions) if (question.isCall) this._put(id, question);
    }
    this._own._emit("state", state, why);
    if (!isOver) return;
    const reason = why.reason || state;
    for (const id of this._questions.keys()) this._end(id, new GlyphError(reason));
    for (const room of this._rooms.values()) room._close(reason);
    this._rooms.clear();
  }

  _failed(error: any): void {
    this._own._emit("error", error);
  }

  /** Find out whether the built-in word is answered; each is asked once. */
  _ping(): void {
    const done: Done = (error) => {
      // Without an answer in time it is not known.
      if (!error?.maybeSent) this._link._answersPings = !error;
    };
    this._ask({ type: "ping" }, done, undefined, Date.now() + Wait.Pong);
  }

  _heard(data: any): void {
    let message: any = data;
    try {
      message = JSON.parse(data);
    } catch {
      // Text, or bytes.
    }
    const meta = message ?? {};
    const { type, event, id, room, target } = meta;
    const question = target && this._questions.get(id);
    if (question) return this._answered(id, question, meta);
    const known = !target && OF_ROOMS.includes(type) && this._rooms.get(room);
    if (known) known._heard(meta);
    else if (typeof event != "string" || OWN.includes(event)) this._own._emit("message", message, meta);
    else if (typeof id == "string") this._called(event, id, meta);
    else this._events._emit(event, meta.data, meta);
  }

  // Questions and answers.

  /** Ask, and again while there is no answer: whatever is no call may be asked twice. */
  private _put(id: string, question: Question): void {
    const { until, text, isCall } = question;
    if (Date.now() > until! || this._isOver(question)) return this._end(id, new GlyphError("no answer in time", true));
    if (!this._link._send(text)) return;
    question.isAsked = true;
    if (!isCall) this._later(id, question, Wait.Again);
  }

  private _later(id: string, question: Question, delay: number): void {
    clearTimeout(question.timer);
    question.timer = setTimeout(() => this._put(id, question), delay);
  }

  private _answered(id: string, question: Question, { type, data, target }: any): void {
    this.id = target;
    const error = type == "error" ? String(data?.error ?? type) : "";
    if (error == Says.TryAgain && !question.until) {
      this._later(id, question, (question.pause = longer(question.pause)));
    } else this._end(id, error ? new GlyphError(error) : null, data);
  }

  private _end(id: string, error: GlyphError | null, found?: any): void {
    const question = this._questions.get(id)!;
    clearTimeout(question.timer);
    // Before it is forgotten: an answer that is none ends the connection, and by that the question.
    if (!this._isOver(question)) question.done(error, found);
    this._questions.delete(id);
  }

  /** What answers a former socket, or a room that was left, is nobody's business. */
  private _isOver({ room }: Question): any {
    return room && !(this._isUp && this._has(room));
  }

  private async _called(event: string, id: string, meta: any): Promise<void> {
    const link = this._link;
    const attempt = link._attempt;
    const reply: any = { type: "reply", id };
    try {
      reply.data = await this._events._first(event, meta.data, meta);
    } catch (error: any) {
      reply.error = String(error?.message ?? error);
    }
    // A server that asks and asks, and reads no answers, gets no more of them.
    if (attempt == link._attempt && !(link._socket.bufferedAmount > Most.Unread)) link._send(JSON.stringify(reply));
  }

  // Tokens.

  /** A token that says when it ends is replaced after three quarters of the time it has left. */
  private _planRenewal(): void {
    const { exp, iat = 0 } = claims(this._link._token);
    if (!exp || !this._link._canRenew) return;
    // The clocks may differ: what the token was given for is known without ours.
    const given = (exp - iat) * 1000;
    const least = iat ? given / 4 : 1000;
    const left = Math.max(Math.min(exp * 1000 - Date.now(), given), least);
    this._renewal = setTimeout(() => this._renew(), Math.min(left * 0.75, Wait.Longest));
  }

  private async _renew(): Promise<void> {
    const link = this._link;
    const attempt = link._attempt;
    try {
      const token = await link._renew();
      if (!token || attempt != link._attempt) return;
      this._ask({ type: "json", event: "auth_refresh", data: { token } }, (error) => {
        if (!error) this._planRenewal();
        else if (this._isUp) this._failed(error);
      });
    } catch (error) {
      this._failed(error); // the server closes with 4401 when the old one ends
    }
  }
}

/** What a JSON Web Token says, unverified; nothing of any other token. */
function claims(token: unknown): { exp?: number; iat?: number } {
  try {
    return JSON.parse(atob(String(token).split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/")));
  } catch {
    return {};
  }
}
