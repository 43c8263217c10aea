/** What a program sees of the library. */

/** What a program may say of its events: `{ notice: Notice; quote(data: Symbol): Price }`.
 *
 * A name with a plain type is an event, whose data that is. A name with a function type is a call:
 * its parameter is the data, its result the answer. This is what there is where nobody says more. */
export type AnyEvents = { [event: string]: any };

type Fn = (data: any) => any;
/** The data of an event or a call. */
export type DataOf<T> = T extends Fn ? Parameters<T>[0] : T;
/** The answer to a call. */
export type AnswerOf<T> = T extends Fn ? Awaited<ReturnType<T>> : any;

/** Stops what the call that returned it has begun. */
export type Off = () => void;

/** The place of a message in a room with history. */
export interface Position {
  epoch: string;
  offset: number;
}

/** What a message came with. Only what the server knows is there. */
export interface Meta {
  type?: string;
  room?: string;
  event?: string;
  /** Its place, in a room with history. */
  offset?: number;
  /** Who sent it. */
  connection_id?: string;
  user?: string | null;
  /** RFC 3339, UTC. */
  timestamp?: string;
  /** It is older than the joining of the room. */
  history?: true;
}

/** A member of a room with presence. */
export interface Member {
  id: string;
  user: string | null;
  info: any;
}

/** How many members there are, connections and users; of a large room that is all there is. */
export interface Crowd {
  clients: number;
  users: number;
}

/** `connecting`, `open`, `waiting` for the next attempt, `offline` as the page is, `closed`. */
export type State = "connecting" | "open" | "waiting" | "offline" | "closed";

/** What goes with a state: why the last connection ended, and when the next attempt is due. */
export interface Why {
  code: number;
  reason: string;
  /** Milliseconds since 1970, in the state `waiting`; else 0. */
  retryAt: number;
}

type Token = string | null | undefined;

export interface Options {
  /** The token of this client, or what returns one; asked again when one has ended. */
  token?: Token | (() => Token | Promise<Token>);
  /** `false`: never send the built-in word `ping`, for servers that take it for something else. */
  ping?: boolean;
  /** Where the server has its events, the way for networks that block WebSockets: a path, `/events`
   * unless you say otherwise. `false`: there is no other way. */
  events?: string | false;
  /** The constructor to use where there is none built in, as in Node before 22. */
  WebSocket?: new (url: string, protocols: string[]) => any;
}

export interface JoinOptions {
  /** So many of the latest messages are delivered first, and again after a `reset`. */
  history?: number;
  /** Follow who is in the room. */
  presence?: boolean;
}

/** Names of `on` that are the client's own, and what their handlers get. */
export interface ServerEvents {
  /** The state of the connection has changed. */
  state: (state: State, why: Why) => unknown;
  /** The token could not be had or renewed, or the address is none. */
  error: (error: any) => unknown;
  /** What came and is neither an event nor of a room. */
  message: (data: any, meta: Meta) => unknown;
}

/** A server as its client sees it. */
export interface Server<E extends object = AnyEvents> {
  readonly state: State;
  /** Why the last connection ended, and when the next attempt is due. */
  readonly why: Why;
  /** The id of the connection, as the server calls it; known once it has answered something. */
  readonly id: string | undefined;
  /** Call `handler` for an event of the server; what it returns answers a call of the server.
   *
   * `state`, `error` and `message` are the client's own. Returned is what stops it. */
  on<K extends keyof ServerEvents>(event: K, handler: ServerEvents[K]): Off;
  on<K extends Exclude<keyof E & string, keyof ServerEvents>>(
    event: K,
    handler: (data: DataOf<E[K]>, meta: Meta) => AnswerOf<E[K]> | Promise<AnswerOf<E[K]>> | void,
  ): Off;
  /** A member of a room, from now on and with every new connection; the same one for the same name. */
  join<T = any>(name: string, options?: JoinOptions): Room<T>;
  /** Ask the server, whose handler of `event` answers. Never asked twice.
   *
   * Rejects with a `GlyphError`: what the server says, no answer in time (ms), a lost connection. */
  call<K extends keyof E & string>(
    event: K,
    data?: DataOf<E[K]>,
    options?: { timeout?: number },
  ): Promise<AnswerOf<E[K]>>;
  /** Send text, bytes, or the JSON of anything else as it is.
   *
   * Before the first connection is open it waits for that. False when a connection is lost or closed. */
  send(data: unknown): boolean;
  /** Connect now instead of after the pause. */
  retry(): void;
  /** End it: no timer and no listener is left, and what waits for an answer is rejected. */
  close(): void;
}

/** What a room tells, and what its handlers get. */
export interface RoomEvents<T = any> {
  /** A message, and what it came with. */
  message: (data: T, meta: Meta) => unknown;
  /** Who is there, after every change. */
  presence: (members: Member[], crowd: Crowd) => unknown;
  /** One is a member, for the first time or again. */
  joined: () => unknown;
  /** One is a member again and has got everything that was missed: so many messages. */
  resumed: (count: number) => unknown;
  /** Messages may be missing, or what came before is no more true. */
  reset: () => unknown;
  /** Joining was refused. It is tried again with the next connection. */
  error: (error: GlyphError) => unknown;
  /** One is no member any more, by `leave`. */
  left: () => unknown;
}

/** A room that one is a member of. */
export interface Room<T = any> {
  readonly name: string;
  /** The latest message's place; null in a room without history, and before one is a member. */
  readonly position: Position | null;
  /** Whether one is a member at this moment. */
  readonly isJoined: boolean;
  /** Who is there, as far as the room is followed. */
  readonly members: Member[];
  /** Call `handler` from now on; returned is what stops that. */
  on<K extends keyof RoomEvents>(event: K, handler: RoomEvents<T>[K]): Off;
  /** Send `data` to all other members, once, however often the connection is lost meanwhile.
   *
   * Resolves with its place (null in a room without history). Rejects with a `GlyphError`. */
  publish(data: T): Promise<Position | null>;
  /** What the room keeps: the latest `limit` messages, or those before an offset; oldest first. */
  history(options?: { limit?: number; before?: number }): Promise<{ data: T; meta: Meta }[]>;
  /** Be a member no longer, and forget the room. */
  leave(): void;
}

/** A publish or call that did not succeed. */
export class GlyphError extends Error {
  /** Whether the server may have got it nevertheless. */
  maybeSent: boolean;

  constructor(message: string, maybeSent = false) {
    super(message);
    this.name = "GlyphError";
    this.maybeSent = maybeSent;
  }
}
