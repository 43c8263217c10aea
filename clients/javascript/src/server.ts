/** Rooms, calls both ways and events, over a link that comes back. */
import { Handlers } from "./handlers.js";
import { Link } from "./link.js";
import { ClientRoom } from "./room.js";
import { GlyphError } from "./types.js";
import type { JoinOptions, Meta, Off, Options, Room, Server, State, Why } from "./types.js";

const AGAIN_AFTER = 10_000; // ms without an answer: it may have been dropped on the way
const CALL_WITHIN = 10_000; // ms
const MOST_WAITING = 10_000; // publishes and calls without an answer
const LONGEST = 2 ** 31 - 1; // ms of a timer
const OWN = ["state", "error", "message"]; // names of `on` that are no events of the program
const OF_ROOMS = ["json", "text", "binary", "skip", "presence", "room_reset"]; // types

/** Called once, with an answer or with why there is none. */
export type Done = (error: GlyphError | null, found?: any) => void;

/** Something sent that is answered under its id. */
interface Question {
  text: string;
  done: Done;
  askedAt: number; // 0: not yet
  until: number; // when asking again would be too late
  isCall?: boolean; // is asked once at most, and only of a server that lets us in
}

export class Client implements Server {
  id: string | undefined;
  _isUp = false;
  private _rooms = new Map<string, ClientRoom>();
  private _questions = new Map<string, Question>();
  private _events = new Handlers();
  private _own = new Handlers();
  private _prefix = this._random().slice(0, 6); // what others send must not look like an answer
  private _count = 0;
  private _waiting = 0;
  private _renewal: any;
  private _repeat: any;
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
      if (this.state != "closed") this._rooms.set(name, room);
      if (this._isUp) room._join();
    }
    return room;
  }

  call(event: string, data: any = null, { timeout = CALL_WITHIN } = {}): Promise<any> {
    return this._promise((done) => {
      const id = this._next();
      const text = JSON.stringify({ type: "json", event, data, id });
      const end: Done = (error, found) => {
        clearTimeout(timer);
        this._questions.delete(id);
        done(error, found);
      };
      const question: Question = { text, done: end, askedAt: 0, until: Infinity, isCall: true };
      const late = () => end(new GlyphError("no answer in time", question.askedAt > 0));
      const timer = setTimeout(late, Math.min(timeout, LONGEST));
      this._questions.set(id, question);
      if (this.state == "open") this._put(id, question);
    });
  }

  send(data: unknown): boolean {
    const isPlain = typeof data == "string" || data instanceof ArrayBuffer || ArrayBuffer.isView(data);
    return this.state == "open" && this._link._send(isPlain ? data : JSON.stringify(data));
  }

  retry(): void {
    this._link._retry();
  }

  close(): void {
    this._link._finish(1000, "closed");
  }

  // What rooms need.

  /** Send `text`, which has the id, until there is an answer, the socket is lost, or it is late. */
  _ask(id: string, text: string, done: Done, until = Infinity): void {
    if (!this._isUp) return done(new GlyphError("not connected"));
    const question = { text, done, askedAt: 0, until };
    this._questions.set(id, question);
    this._put(id, question);
  }

  _next(): string {
    return this._prefix + ++this._count;
  }

  /** An id that nobody guesses and that nobody else draws. */
  _random(): string {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
  }

  _forget(room: ClientRoom): boolean {
    return this._has(room) && this._rooms.delete(room.name);
  }

  _has(room: ClientRoom): boolean {
    return this._rooms.get(room.name) == room;
  }

  _promise<T>(begin: (done: (error: any, value?: any) => void) => void): Promise<T> {
    const promise = new Promise<T>((resolve, reject) => {
      if (this.state == "closed") throw new GlyphError("closed");
      if (this._waiting >= MOST_WAITING) throw new GlyphError("too much waits for an answer");
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

  _emit(event: string, data: unknown, meta: Meta): void {
    this._events._emit(event, data, meta);
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
    clearTimeout(this._repeat);
    this._repeat = 0;
    for (const [id, { done, askedAt, isCall }] of this._questions) {
      if (isCall && !askedAt) continue;
      this._questions.delete(id);
      done(new GlyphError("connection lost", isCall));
    }
    for (const room of this._rooms.values()) room._down();
  }

  _changed(): void {
    const { state, why } = this;
    if (state == "open") {
      for (const [id, question] of this._questions) if (question.isCall) this._put(id, question);
    }
    this._own._emit("state", state, why);
    if (state != "closed") return;
    for (const { done } of this._questions.values()) done(new GlyphError(why.reason || "closed"));
    for (const room of this._rooms.values()) room._close(why.reason || "closed");
    this._rooms.clear();
  }

  _failed(error: any): void {
    this._own._emit("error", error);
  }

  /** Find out whether the built-in word is answered; each is asked once. */
  _ping(): void {
    const id = this._next();
    const done: Done = (error) => {
      if (!error) this._link._answersPings = true;
      else if (this._isUp && !error.maybeSent) this._link._answersPings = false; // it was refused
    };
    this._ask(id, `{"type":"ping","id":"${id}"}`, done, 0);
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
    else this._emit(event, meta.data, meta);
  }

  // Questions and answers.

  private _put(id: string, question: Question): void {
    const { askedAt, until, text, isCall, done } = question;
    if (askedAt && Date.now() > until) {
      this._questions.delete(id);
      return done(new GlyphError("no answer in time", true));
    }
    if (!this._link._send(text)) return;
    question.askedAt = Date.now();
    if (!isCall) this._repeat ||= setTimeout(() => this._again(), AGAIN_AFTER);
  }

  /** Ask again what was not answered: whatever is no call may be asked twice. */
  private _again(): void {
    this._repeat = 0;
    const now = Date.now();
    for (const [id, question] of this._questions) {
      if (question.isCall) continue;
      if (now - question.askedAt >= AGAIN_AFTER) this._put(id, question);
      this._repeat ||= setTimeout(() => this._again(), AGAIN_AFTER);
    }
  }

  private _answered(id: string, { done, isCall }: Question, { type, data, target }: any): void {
    this.id = target;
    const error = type == "error" ? String(data?.error ?? "error") : "";
    if (error == "try again" && !isCall) return; // `_again` does
    this._questions.delete(id);
    done(error ? new GlyphError(error) : null, data);
  }

  private async _called(event: string, id: string, meta: any): Promise<void> {
    const attempt = this._link._attempt;
    const reply: any = { type: "reply", id };
    try {
      reply.data = await this._events._first(event, meta.data, meta);
    } catch (error: any) {
      reply.error = String(error?.message ?? error);
    }
    if (attempt == this._link._attempt) this._link._send(JSON.stringify(reply));
  }

  // Tokens.

  /** A token that says when it ends is replaced after three quarters of the time it has left. */
  private _planRenewal(): void {
    const { exp, iat } = claims(this._link._token);
    if (!exp || !this._link._canRenew) return;
    // The clocks may differ: what the token was given for is known without ours.
    const given = iat ? (exp - iat) * 1000 : Infinity;
    const least = iat ? given / 4 : 1000;
    const left = Math.max(Math.min(exp * 1000 - Date.now(), given), least);
    this._renewal = setTimeout(() => this._renew(), Math.min(left * 0.75, LONGEST));
  }

  private async _renew(): Promise<void> {
    const link = this._link;
    const attempt = link._attempt;
    try {
      const token = await link._renew();
      if (!token || attempt != link._attempt) return;
      const id = this._next();
      const message = { type: "json", event: "auth_refresh", data: { token }, id };
      this._ask(id, JSON.stringify(message), (error) => {
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
