/** The connection: when it comes back, when it does not, and that nothing is left of it. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Bench, FakePage, FakeSocket, settle } from "./fake.mjs";

let bench;
beforeEach(() => (bench = new Bench()));
afterEach(() => bench.end());

test("it offers its subprotocol, and the token behind it", async () => {
  bench.connect({ token: "abc.def" });
  await settle();
  assert.equal(bench.socket.url, "ws://server.test/ws");
  assert.deepEqual(bench.socket.protocols, ["glyph-fast", "bearer", "abc.def"]);
});

test("without a token it offers no other", async () => {
  bench.connect();
  await settle();
  assert.deepEqual(bench.socket.protocols, ["glyph-fast"]);
});

test("it is open once something came, or after a second", async () => {
  bench.connect({ ping: false });
  await settle();
  bench.socket.open();
  assert.equal(bench.server.state, "connecting");
  await bench.pass(1_000);
  assert.equal(bench.server.state, "open");
  assert.deepEqual(bench.socket.sent, []);
  bench.socket.end();
  await bench.pass(250);
  bench.socket.open().say("hello");
  assert.equal(bench.server.state, "open");
});

for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 3500, 3999, 4000, 4399, 4403, 4500, 4502, 4504, 4999]) {
  test(`${code} is final`, async () => {
    bench.connect();
    (await bench.open()).end(code, "enough");
    assert.equal(bench.server.state, "closed");
    assert.deepEqual(bench.server.why, { code, reason: "enough", retryAt: 0 });
    await bench.pass(100_000);
    assert.equal(bench.sockets.length, 1);
  });
}

for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 3000, 3499, 4008, 4400, 4402, 4429, 4499, 4503]) {
  test(`${code} is not final`, async () => {
    bench.connect();
    await bench.open();
    bench.socket.end(code);
    assert.equal(bench.server.state, "waiting");
    await bench.pass(250);
    assert.equal(bench.sockets.length, 2);
  });
}

test("pauses are drawn at random below a bound that doubles from 0.5 s to 20 s", async () => {
  bench.connect();
  const pauses = [];
  for (let attempt = 0; attempt < 8; attempt += 1) {
    await settle();
    bench.socket.end();
    pauses.push(bench.server.why.retryAt - Date.now());
    await bench.pass(pauses.at(-1) - 1);
    assert.equal(bench.sockets.length, attempt + 1);
    await bench.pass(1);
    assert.equal(bench.sockets.length, attempt + 2);
  }
  assert.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
});

test("a connection that lasted makes the pauses short again, one that did not does not", async () => {
  bench.connect();
  await bench.open();
  bench.socket.end();
  assert.equal(bench.server.why.retryAt - Date.now(), 250);
  await bench.pass(250);
  await bench.open();
  bench.socket.end();
  assert.equal(bench.server.why.retryAt - Date.now(), 500);
  await bench.pass(500);
  await bench.open();
  await bench.pass(6_000);
  bench.socket.end();
  assert.equal(bench.server.why.retryAt - Date.now(), 250);
});

test("retry does not wait", async () => {
  bench.connect();
  await settle();
  bench.socket.end();
  bench.server.retry();
  await settle();
  assert.equal(bench.sockets.length, 2);
  bench.server.retry(); // it connects already
  await bench.pass(0);
  assert.equal(bench.sockets.length, 2);
});

test("a socket that does not open in ten seconds is given up", async () => {
  bench.connect();
  await settle();
  await bench.pass(10_000);
  assert.equal(bench.server.state, "waiting");
  assert.equal(bench.socket.closedWith, null);
  bench.sockets[0].open(); // late: nobody listens
  assert.equal(bench.server.state, "waiting");
});

test("a refusal behind a 101 never counts as open", async () => {
  bench.connect();
  await settle();
  bench.socket.open().end(4503, "too many connections");
  assert.deepEqual(bench.states, [["waiting", 4503]]);
  await bench.pass(250);
  assert.deepEqual(bench.states.at(-1), ["connecting", 4503]);
});

test("silence of twenty seconds is asked about, and ten more end it", async () => {
  bench.connect();
  const socket = await bench.open();
  await bench.pass(15_000);
  socket.say({ type: "json", data: 1 });
  await bench.pass(19_999);
  assert.deepEqual(socket.sent, []);
  await bench.pass(1);
  assert.equal(JSON.parse(socket.sent[0]).type, "ping");
  await bench.pass(9_999);
  socket.pong();
  await bench.pass(20_000);
  assert.equal(bench.server.state, "open");
  await bench.pass(10_000);
  assert.equal(bench.server.state, "waiting");
  assert.equal(socket.closedWith, null);
});

test("anything that comes is an answer", async () => {
  bench.connect();
  const socket = await bench.open();
  await bench.pass(20_000);
  socket.say("news");
  await bench.pass(19_000);
  assert.equal(bench.server.state, "open");
});

for (const how of ["refused", "never answered"]) {
  test(`where pings are ${how}, silence is no sign`, async () => {
    bench.connect();
    await settle();
    const socket = bench.socket.open();
    const ping = JSON.parse(socket.sent[0]);
    if (how == "refused") socket.refuse(ping, "no handler");
    else socket.say("hello");
    await bench.pass(600_000);
    assert.equal(bench.server.state, "open");
    assert.equal(socket.sent.length, 1);
  });
}

test("a machine that slept asks again before it gives up", async () => {
  bench.connect();
  const socket = await bench.open();
  await bench.pass(20_000);
  socket.sent.length = 0;
  const { now } = Date;
  Date.now = () => now() + 3_600_000; // an hour in which no timer ran
  await bench.pass(10_000);
  Date.now = now;
  assert.equal(bench.server.state, "open");
  assert.equal(JSON.parse(socket.sent[0]).type, "ping");
});

test("close leaves no timer, no listener, no socket, and rejects what waits", async () => {
  const page = new FakePage();
  try {
    const server = bench.connect({ token: () => "a.b" });
    const room = server.join("lobby");
    const outcomes = [room.publish(1), server.call("ask"), room.history()].map((each) =>
      each.then(
        () => "resolved",
        (error) => `${error.message} ${error.maybeSent}`,
      ),
    );
    await bench.open();
    assert.ok(page.count > 0);
    server.close();
    assert.equal(page.count, 0);
    assert.equal(bench.socket.closedWith, 1000);
    assert.deepEqual(bench.socket.onmessage, null);
    // The call was sent as the socket was known to be open; the publish waited for the room.
    assert.deepEqual(await Promise.all(outcomes), ["closed false", "connection lost true", "not connected false"]);
    await assert.rejects(room.publish(1), /closed/);
    await assert.rejects(server.call("ask"), /closed/);
    assert.equal(server.send("x"), false);
    const late = server.join("other");
    await assert.rejects(late.publish(1), /closed/);
    await bench.pass(1_000_000);
    assert.equal(bench.sockets.length, 1);
    assert.deepEqual(bench.states.at(-1), ["closed", 1000]);
  } finally {
    page.leave();
  }
});

test("close in the middle of anything is the end", async () => {
  const server = bench.connect();
  server.on("state", (state) => state == "open" && server.close());
  await settle();
  bench.socket.open().pong();
  assert.equal(server.state, "closed");
  server.close();
  assert.equal(bench.states.filter(([state]) => state == "closed").length, 1);
});

test("close by who is told that it connects opens nothing", async () => {
  const server = bench.connect();
  await bench.open();
  server.on("state", (state) => state == "connecting" && server.close());
  bench.socket.end();
  await bench.pass(30_000);
  assert.equal(server.state, "closed");
  assert.equal(bench.sockets.length, 1);
});

test("an address or a token that cannot be is told, and tried again", async () => {
  bench.connect({
    WebSocket: class extends FakeSocket {
      constructor(url, protocols) {
        super(url, protocols);
        if (protocols[2]?.includes(" ")) throw new SyntaxError("bad subprotocol");
      }
    },
    token: "no token",
  });
  await settle();
  assert.deepEqual(bench.errors, ["bad subprotocol"]);
  assert.equal(bench.server.state, "waiting");
});

test("ten thousand lost connections leave nothing behind", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  const used = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const server = bench.connect();
  const room = server.join("lobby", { presence: true });
  let heard = 0;
  room.on("message", () => (heard += 1));
  await settle();
  const first = bench.socket.open().pong();
  first.answer(first.take()[0], { epoch: "e", offset: 0 });
  const sizes = [];
  for (let n = 1; n <= 10_000; n += 1) {
    server.call("never answered");
    bench.socket.end();
    await bench.pass(20_000);
    const socket = bench.socket.open().pong();
    const [join] = socket.take();
    socket.answer(join, { epoch: "e", offset: n, resumed: true, messages: [{ offset: n, data: n, type: "json" }] });
    FakeSocket.all = [socket];
    bench.states.length = 0; // what the bench itself keeps
    Math.random.mock.resetCalls();
    if (n % 1_000 == 0) sizes.push(used());
  }
  assert.equal(heard, 10_000);
  // Tables of the engine grow and shrink meanwhile, so it is the least of some that counts.
  const grown = Math.min(...sizes.slice(-3)) - Math.min(...sizes.slice(0, 3));
  assert.ok(grown < 7_000 * 64, `grown by ${grown} bytes`); // less than an object for each
});

// A page.

for (const [name, act] of [
  ["the network is back", (page) => page.fire("online")],
  ["the page is looked at", (page) => page.fire("visibilitychange")],
]) {
  test(`when ${name} it does not wait`, async () => {
    const page = new FakePage();
    try {
      bench.connect();
      await settle();
      bench.socket.end();
      page.hidden = true;
      page.fire("visibilitychange");
      await settle();
      assert.equal(bench.sockets.length, 1);
      page.hidden = false;
      act(page);
      await settle();
      assert.equal(bench.sockets.length, 2);
      const socket = await bench.open();
      act(page);
      assert.equal(JSON.parse(socket.sent[0]).type, "ping");
      await bench.pass(10_000);
      assert.equal(bench.server.state, "waiting");
    } finally {
      page.leave();
    }
  });
}

test("while the page is offline nothing is tried", async () => {
  const page = new FakePage();
  try {
    bench.connect();
    await bench.open();
    page.onLine = false;
    page.fire("offline"); // which asks the server
    assert.equal(JSON.parse(bench.socket.sent[0]).type, "ping");
    await bench.pass(10_000);
    assert.equal(bench.server.state, "offline");
    await bench.pass(1_000_000);
    assert.equal(bench.sockets.length, 1);
    page.onLine = true;
    page.fire("online");
    await bench.open();
    assert.equal(bench.server.state, "open");
    bench.socket.end();
    assert.equal(bench.server.state, "waiting");
    page.onLine = false;
    page.fire("offline");
    assert.equal(bench.server.state, "offline");
    await bench.pass(100_000);
    assert.equal(bench.sockets.length, 2);
  } finally {
    page.leave();
  }
});
