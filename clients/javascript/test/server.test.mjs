/** Calls both ways, events, and messages as they are. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { connect } from "../../../glyph_fast/javascript/glyph-fast.mjs";
import { Bench, FakeSocket, fate, settle } from "./fake.mjs";

let bench;
beforeEach(() => (bench = new Bench()));
afterEach(() => bench.end());

test("a call is answered under its id", async () => {
  const server = bench.connect();
  const early = fate(server.call("quote", { symbol: "A" }));
  const socket = await bench.open();
  const [{ id, ...asked }] = socket.take();
  assert.deepEqual(asked, { type: "json", event: "quote", data: { symbol: "A" } });
  socket.answer({ id }, { price: 1 });
  const other = fate(server.call("time"));
  socket.answer(socket.take()[0], null);
  await settle();
  assert.deepEqual(early.value, { price: 1 });
  assert.equal(other.value, null);
  assert.equal(server.id, "me");
});

test("a call is not asked of a server that does not let us in", async () => {
  const server = bench.connect({ token: () => "t" });
  const asked = fate(server.call("quote"));
  await settle();
  bench.socket.open();
  assert.deepEqual(bench.socket.take(), []);
  bench.socket.end(4401);
  await bench.pass(250);
  const socket = await bench.open();
  socket.answer(socket.take()[0], 7);
  await settle();
  assert.equal(asked.value, 7);
});

test("an error is why a call is rejected", async () => {
  const server = bench.connect();
  const socket = await bench.open();
  const asked = fate(server.call("quote"));
  socket.refuse(socket.take()[0], "no handler");
  await settle();
  assert.deepEqual(asked, { state: "rejected", error: "no handler", maybeSent: false });
});

test("a call that is not answered in time says whether it was sent", async () => {
  const server = bench.connect();
  const unsent = fate(server.call("quote", 1, { timeout: 100 }));
  await bench.pass(100);
  const socket = await bench.open();
  assert.deepEqual(socket.take(), []);
  const sent = fate(server.call("quote"));
  await bench.pass(9_999);
  assert.equal(sent.state, "pending");
  await bench.pass(1);
  socket.answer(socket.take()[0], "late");
  assert.deepEqual(unsent, { state: "rejected", error: "no answer in time", maybeSent: false });
  assert.deepEqual(sent, { state: "rejected", error: "no answer in time", maybeSent: true });
});

test("a call is never asked twice", async () => {
  const server = bench.connect();
  const socket = await bench.open();
  const asked = fate(server.call("pay"));
  assert.equal(socket.take().length, 1);
  const next = await bench.again();
  assert.deepEqual(next.take(), []);
  assert.deepEqual(asked, { state: "rejected", error: "connection lost", maybeSent: true });
});

test("a call of the server is answered by what a handler returns", async () => {
  const server = bench.connect();
  server.on("confirm", async ({ question }) => `${question}? yes`);
  server.on("notify", () => {});
  server.on("fail", () => {
    throw new Error("not now");
  });
  const socket = await bench.open();
  for (const event of ["confirm", "notify", "fail", "unknown"]) {
    socket.say({ type: "json", event, data: { question: "go" }, id: `s-${event}` });
  }
  await settle();
  assert.deepEqual(socket.take().toSorted((a, b) => (a.id < b.id ? -1 : 1)), [
    { type: "reply", id: "s-confirm", data: "go? yes" },
    { type: "reply", id: "s-fail", error: "not now" },
    { type: "reply", id: "s-notify", data: null },
    { type: "reply", id: "s-unknown", error: "no handler" },
  ]);
});

test("an answer is for the connection that was asked", async () => {
  const server = bench.connect();
  let answer;
  server.on("confirm", () => new Promise((resolve) => (answer = resolve)));
  const socket = await bench.open();
  socket.say({ type: "json", event: "confirm", id: "1" });
  const next = await bench.again();
  answer("yes");
  await settle();
  assert.deepEqual(next.take(), []);
});

test("events go to their handlers, all else is a message", async () => {
  const server = bench.connect();
  const log = [];
  const off = server.on("notice", (data, meta) => log.push(["notice", data, meta.timestamp]));
  server.on("message", (data) => log.push(["message", data]));
  const socket = await bench.open();
  socket.say({ type: "json", event: "notice", data: 1, timestamp: "T" });
  socket.say({ type: "json", event: "state", data: "closed" }); // a name of the client's own
  socket.say({ type: "say", room: "lobby", text: "hi" });
  socket.say({ type: "error", data: { error: "of something sent" }, target: "me" });
  socket.say("plain text");
  socket.say('"quoted"');
  socket.say("null");
  socket.onmessage({ data: new Uint8Array([1, 2]).buffer });
  off();
  socket.say({ type: "json", event: "notice", data: 2 });
  assert.deepEqual(log, [
    ["notice", 1, "T"],
    ["message", { type: "json", event: "state", data: "closed" }],
    ["message", { type: "say", room: "lobby", text: "hi" }],
    ["message", { type: "error", data: { error: "of something sent" }, target: "me" }],
    ["message", "plain text"],
    ["message", "quoted"],
    ["message", null],
    ["message", new Uint8Array([1, 2]).buffer],
  ]);
  assert.deepEqual(bench.states, [["open", 0]]);
});

test("what others send does not look like an answer", async () => {
  const server = bench.connect();
  const socket = await bench.open();
  const asked = fate(server.call("quote"));
  for (let n = 0; n < 10; n += 1) socket.say({ type: "json", data: "forged", target: "me", id: String(n) });
  await settle();
  assert.equal(asked.state, "pending");
});

test("send gives the server what it is given, as long as it is connected", async () => {
  const server = bench.connect();
  const socket = await bench.open();
  const bytes = new Uint8Array([1]);
  assert.deepEqual(["text", bytes, { a: 1 }].map((each) => server.send(each)), [true, true, true]);
  assert.deepEqual(socket.sent, ["text", bytes, '{"a":1}']);
  socket.sent.length = 0;
  socket.end();
  assert.equal(server.send("nobody is there"), false);
  await bench.pass(30_000);
  assert.notEqual(bench.socket, socket);
  assert.deepEqual((await bench.open()).sent, []);
});

test("what is sent before the first connection is open waits for it, in its order", async () => {
  const server = bench.connect();
  server.on("state", (state) => state == "open" && server.send("last"));
  const bytes = new Uint8Array([1]);
  assert.equal(server.send(bytes), true);
  bytes[0] = 2; // it is the program's again
  await settle();
  bench.socket.end(); // the server was not there yet
  assert.equal(server.send("text"), true);
  await bench.pass(250);
  bench.socket.open();
  assert.equal(server.send({ a: 1 }), true);
  assert.equal(bench.socket.sent.length, 1); // the ping: it may still be a refusal
  bench.socket.pong();
  assert.deepEqual(bench.socket.sent, [new Uint8Array([1]), "text", '{"a":1}', "last"]);
});

test("what is sent before the first connection has a limit, and goes with it", async () => {
  const server = bench.connect();
  const taken = Array.from({ length: 10_001 }, () => server.send("x"));
  assert.deepEqual([taken.indexOf(false), taken.length], [10_000, 10_001]);
  await settle();
  bench.socket.end(1008);
  assert.equal(server.state, "closed");
  assert.equal(server.send("x"), false);
});

test("a promise that nobody looks at is no unhandled rejection", async () => {
  const found = [];
  const listen = (reason) => found.push(reason);
  process.on("unhandledRejection", listen);
  const server = bench.connect();
  const room = server.join("lobby");
  server.call("quote");
  room.publish(1);
  server.close();
  room.publish(2);
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", listen);
  assert.deepEqual(found, []);
});


test("an address is resolved as a page would, and http becomes ws", async () => {
  globalThis.location = { href: "https://example.test/app/page?x#y" };
  try {
    for (const [given, expected] of [
      ["/ws", "wss://example.test/ws"],
      ["live?a=b", "wss://example.test/app/live?a=b"],
      ["http://other.test:81/ws", "ws://other.test:81/ws"],
      [new URL("wss://other.test/ws"), "wss://other.test/ws"],
    ]) {
      const server = connect(given, { WebSocket: FakeSocket });
      await settle();
      assert.equal(bench.socket.url, expected);
      server.close();
    }
  } finally {
    delete globalThis.location;
  }
  assert.throws(() => connect("/ws"), TypeError);
});
