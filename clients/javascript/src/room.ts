/** A room: its messages in order and once, whoever cuts the connection in between.
 *
 * In a room with history every message has an offset. What is next is delivered; what is older came
 * already; what is further is held until `history` has brought what lies between. */
import { Handlers } from "./handlers.js";
import { Says, longer } from "./server.js";
import type { Client, Done } from "./server.js";
import { GlyphError } from "./types.js";
import type { JoinOptions, Member, Meta, Off, Position, Room, RoomEvents } from "./types.js";

const enum Most {
  IdsCount = 240_000, // ms; a minute less than a server remembers them
  Held = 1_000, // messages behind a gap; any more are asked for again
  Piece = 1_000, // messages of a history asked for at once
}

interface Outgoing {
  text: string;
  sentAt: number; // first; 0: never
  done: (error: GlyphError | null, position?: Position | null) => void;
}

export class ClientRoom implements Room {
  readonly name: string;
  position: Position | null = null;
  isJoined = false;
  members: Member[] = [];
  private _options: JoinOptions;
  private _server: Client;
  private _handlers = new Handlers();
  private _outbox = new Map<string, Outgoing>();
  private _held: any[] | null = null; // what waits for the end of joining or of a gap
  private _version = 0; // of presence
  private _hasBeenJoined = false;
  private _was: string | undefined; // the connection that was a member last
  private _pause: number | undefined; // ms: what is published waits behind a message that was refused
  private _timer: any; // sends that one again
  private _why = ""; // there is no membership to wait for

  constructor(server: Client, name: string, options: JoinOptions) {
    this._server = server;
    this.name = name;
    this._options = options;
  }

  on<K extends keyof RoomEvents>(event: K, handler: RoomEvents[K]): Off {
    return this._handlers._add(event, handler);
  }

  publish(data: any = null): Promise<Position | null> {
    return this._server._promise((done) => {
      if (this._why) throw new GlyphError(this._why);
      const id = this._server._random();
      const text = JSON.stringify({ type: "broadcast", room: this.name, data, id });
      this._outbox.set(id, { text, sentAt: 0, done });
      if (this.isJoined && !this._pause) this._send(id);
    });
  }

  history({ limit, before }: { limit?: number; before?: number } = {}): Promise<{ data: any; meta: Meta }[]> {
    return this._server._promise((done) => {
      this._server._ask({ type: "history", room: this.name, limit, before }, (error, found) => {
        done(error, found?.messages?.map((each: any) => ({ data: take(each), meta: each })));
      });
    });
  }

  leave(): void {
    const { _server: server } = this;
    if (!server._has(this)) return;
    server._rooms.delete(this.name);
    server._ask({ type: "leave_room", room: this.name }, () => {});
    this._close("left the room");
    this._handlers._emit("left");
  }

  // What the server's connection tells.

  /** There is a new socket, or a gap that `history` does not fill. */
  _join(): void {
    const { history, presence } = this._options;
    const { position } = this;
    const held: any[] = (this._held = []);
    this._why = "";
    const asked = {
      presence,
      ...(position ? { since: position, was: this._was } : { history }),
    };
    this._ask("join_room", asked, (error, found) => {
      if (held != this._held) return;
      this._held = null;
      this.isJoined = !error;
      if (error) {
        this._giveUp((this._why = error.message));
        this._handlers._emit("error", error);
        return;
      }
      this._was = this._server.id;
      this._welcome(found, held);
      if (this._why) return; // a handler has left the room
      this._handlers._emit("joined");
      this._flush();
    });
  }

  /** The socket is lost. */
  _down(): void {
    this._timer = clearTimeout(this._timer);
    this.isJoined = false;
    this._held = null;
  }

  /** Nothing more will come. */
  _close(why: string): void {
    this._down();
    this._giveUp((this._why = why));
  }

  /** A message of the room, as it came. */
  _heard(message: any): void {
    const { type, data, offset } = message;
    if (type == "presence") this._changed(data);
    else if (type == "room_reset") {
      this._held = null;
      if (this.isJoined) return this._reset(data, []);
      this.position = null; // the answer that we wait for may be of before
      this._handlers._emit("reset");
      this._join();
    } else if (offset > 0 && (this.position || this._held)) this._accept(message);
    else this._deliver(message);
  }

  // Joining and gaps.

  private _welcome({ epoch, offset, resumed, messages = [], presence }: any, held: any[]): void {
    const before = this.position;
    const wasJoined = this._hasBeenJoined;
    this._hasBeenJoined = true;
    if (presence) this._present(presence);
    if (!epoch) {
      this.position = null;
      for (const each of held) this._deliver(each);
      if (wasJoined) this._handlers._emit("reset");
    } else if (before && !resumed) {
      // In another epoch the ids of what was sent may be forgotten, too.
      if (before.epoch != epoch) this._giveUp("the room was reset", true);
      this._reset({ epoch, offset }, held);
    } else {
      this.position = { epoch, offset };
      for (const each of messages) this._deliver(each, !before);
      this._release(held);
      if (before) this._handlers._emit("resumed", messages.length);
    }
  }

  private _accept(message: any): void {
    const held = this._held;
    if (held) {
      if (held.length < Most.Held) held.push(message);
      return;
    }
    const position = this.position!;
    const ahead = message.offset - position.offset;
    if (ahead > 1) this._fill({ since: position, limit: Most.Piece }, [message]);
    else if (ahead == 1) {
      position.offset++;
      this._deliver(message);
    }
  }

  private _release(held: any[]): void {
    for (const each of held) this._accept(each);
    if (held.length == Most.Held && !this._held) this._refill([]);
  }

  private _refill(held: any[]): void {
    this._fill({ since: this.position, limit: Most.Piece }, held);
  }

  /** Ask for what is missing; what comes meanwhile is held. */
  private _fill(asked: any, held: any[]): void {
    this._held = held;
    this._ask("history", asked, (_, found) => {
      if (held != this._held) return; // the room was reset, or is being joined anew
      if (!found?.epoch) return this._join(); // which resumes where clients may not ask for `history`
      const { epoch, offset, messages, more, lost } = found;
      const position = this.position!;
      this._held = null;
      if (lost || epoch != position.epoch) return this._reset({ epoch, offset }, held);
      for (const each of messages) this._deliver(each, !asked.since);
      const isPart = more && asked.since && messages.length;
      position.offset = isPart ? messages.at(-1).offset : offset;
      if (isPart) this._refill(held);
      else this._release(held);
    });
  }

  /** What came so far does not reach to what comes now. */
  private _reset({ epoch, offset }: Position, held: any[]): void {
    const isSame = this.position?.epoch == epoch;
    this.position = { epoch, offset };
    this._handlers._emit("reset");
    const { history } = this._options;
    if (history) this._fill({ limit: history }, isSame ? held : []);
    else if (isSame && held.length) {
      this.position.offset = held[0].offset - 1;
      this._release(held);
    } else if (held.length) this._refill([]);
  }

  private _deliver(message: any, isOld?: boolean): void {
    if (message.type == "skip" || this._why) return;
    message.room = this.name;
    if (isOld) message.history = true;
    const data = take(message);
    this._handlers._emit("message", data, message);
    if (message.event) this._server._events._emit(message.event, data, message);
  }

  // Sending.

  /** Send what waits, in its order; while the room refuses, the first alone. */
  private _flush(pause?: number): void {
    this._timer = clearTimeout(this._timer);
    this._pause = this._outbox.size && pause;
    for (const id of this._outbox.keys()) {
      if (!this._server._questions.has(id)) this._send(id);
      if (this._pause) return;
    }
  }

  private _send(id: string): void {
    const out = this._outbox.get(id)!;
    const answered: Done = (error, found) => {
      if (error?.message == Says.TryAgain) {
        const pause = longer(this._pause);
        this._timer ||= setTimeout(() => this._flush(pause), (this._pause = pause));
        return;
      }
      const { epoch, offset } = found ?? error; // first: it may be none
      this._outbox.delete(id);
      if (this._pause && !this._timer) this._flush();
      if (error) return out.done(error);
      // It has its place, where others see a message.
      if (epoch && epoch == this.position?.epoch) this._accept({ type: "skip", offset });
      out.done(null, epoch ? { epoch, offset } : null);
    };
    out.sentAt ||= Date.now();
    this._server._pose(id, out.text, answered, this, out.sentAt + Most.IdsCount);
  }

  private _giveUp(why: string, onlySent = false): void {
    for (const [id, { sentAt, done }] of this._outbox) {
      if (onlySent && !sentAt) continue;
      this._outbox.delete(id);
      done(new GlyphError(why, sentAt > 0));
    }
  }

  private _ask(type: string, members: object, done: Done): void {
    this._server._ask({ type, room: this.name, ...members }, done, this);
  }

  // Presence.

  private _present({ version, members = [], clients, users }: any): void {
    this._version = version;
    this.members = members;
    this._tell(clients, users);
  }

  private _changed(change: any): void {
    const { version, joined = [], left = [], clients } = change;
    if (!this.isJoined || version <= this._version) return;
    if (clients) return this._present(change);
    if (version != this._version + 1) {
      return this._ask("presence", {}, (error, found) => {
        if (!error) this._present(found);
      });
    }
    this._version = version;
    const gone = new Set([...left, ...joined].map((each) => each.id));
    this.members = [...this.members.filter((each) => !gone.has(each.id)), ...joined];
    this._tell();
  }

  private _tell(
    clients = this.members.length,
    users = new Set(this.members.map((each) => each.user ?? each.id)).size,
  ): void {
    this._handlers._emit("presence", this.members, { clients, users });
  }
}

/** Take the data out of a message of a room; binary data is base64 there. */
function take(message: any): any {
  const { type, data = null } = message;
  delete message.data;
  return type == "binary" && typeof data == "string"
    ? Uint8Array.from(atob(data), (each) => each.charCodeAt(0))
    : data;
}
