/** What the types let through, and what they do not. Compiled by a test, never run. */
import { GlyphError, connect } from "../dist/index.js";
import type { Member, Position, Room, State } from "../dist/index.js";

interface Shown {
  notice: { text: string };
  quote(data: { symbol: string }): number;
}

const server = connect<Shown>("/ws", { token: async () => "token" });

server.on("notice", (data) => data.text.length);
server.on("quote", ({ symbol }) => symbol.length);
server.on("quote", async () => 1);
server.on("state", (state: State, { code, retryAt }) => state == "waiting" && code + retryAt);
const off: () => void = server.on("error", (error) => console.error(error));
off();
const price: Promise<number> = server.call("quote", { symbol: "A" }, { timeout: 5_000 });

// @ts-expect-error: no such event
server.on("notise", () => {});
// @ts-expect-error: its data has no such member
server.on("notice", (data) => data.txt);
// @ts-expect-error: its answer is a number
server.on("quote", () => "one");
// @ts-expect-error: its data is an object
server.call("quote", "A");
// @ts-expect-error: its answer is a number
const wrong: Promise<string> = server.call("quote", { symbol: "A" });

const room: Room<{ text: string }> = server.join<{ text: string }>("chat:1", { history: 50, presence: true });
room.on("message", ({ text }, { offset, user }) => `${text} ${offset} ${user}`);
room.on("presence", (members: Member[], { clients }) => members.length == clients);
room.on("resumed", (count) => count.toFixed());
room.on("error", (error: GlyphError) => error.maybeSent);
const place: Promise<Position | null> = room.publish({ text: "hi" });
// @ts-expect-error: messages have text
room.publish({ txt: "hi" });
// @ts-expect-error: no such event
room.on("mesage", () => {});
// @ts-expect-error: who is there is the server's to say
room.members = [];

const untyped = connect(new URL("wss://example.com/ws"));
untyped.on("anything", (data) => data.at.all);
const answer: Promise<any> = untyped.call("anything", { at: 1 });
// @ts-expect-error: not an option
connect("/ws", { tokens: "x" });

export { answer, place, price, wrong };
