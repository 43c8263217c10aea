/** Tokens: asked for, refused, replaced before they end. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Bench, settle } from "./fake.mjs";

let bench;
beforeEach(() => (bench = new Bench()));
afterEach(() => bench.end());

const now = () => Math.floor(Date.now() / 1000);

function token(claims) {
  return ["{}", JSON.stringify(claims), "sig"].map((each) => Buffer.from(each).toString("base64url")).join(".");
}

/** A provider of these, and how often it was asked. */
function provider(...answers) {
  const provide = async () => {
    provide.asked += 1;
    const answer = answers[Math.min(provide.asked, answers.length) - 1];
    if (answer instanceof Error) throw answer;
    return typeof answer == "function" ? answer() : answer;
  };
  provide.asked = 0;
  return provide;
}

test("a token is asked for once and used again", async () => {
  const provide = provider("one", "two");
  bench.connect({ token: provide });
  await bench.open();
  assert.equal(bench.socket.protocols[2], "one");
  await bench.again();
  assert.equal(bench.socket.protocols[2], "one");
  assert.equal(provide.asked, 1);
});

test("a refused token is asked for again, a second refusal in a row is final", async () => {
  const provide = provider("one", "two", "three", "four");
  bench.connect({ token: provide });
  await settle();
  bench.socket.open().end(4401, "the token has expired");
  await bench.pass(250);
  assert.equal(bench.socket.protocols[2], "two");
  await bench.open(); // not in a row
  bench.socket.end(4401);
  await bench.pass(20_000);
  assert.equal(bench.socket.protocols[2], "three");
  bench.socket.open().end(4401, "no");
  assert.equal(bench.server.state, "closed");
  assert.deepEqual(bench.server.why, { code: 4401, reason: "no", retryAt: 0 });
  assert.equal(provide.asked, 3);
});

test("a token that cannot be asked for again is final at once", async () => {
  bench.connect({ token: "only" });
  await settle();
  bench.socket.open().end(4401);
  assert.equal(bench.server.state, "closed");
});

test("a provider that fails is told and asked again", async () => {
  const provide = provider(new Error("no network"), "two");
  bench.connect({ token: provide });
  await settle();
  assert.equal(bench.sockets.length, 0);
  assert.deepEqual(bench.errors, ["no network"]);
  assert.equal(bench.server.state, "waiting");
  await bench.pass(250);
  assert.equal(bench.socket.protocols[2], "two");
});

test("a provider without a token means none", async () => {
  bench.connect({ token: () => null });
  await settle();
  assert.deepEqual(bench.socket.protocols, ["glyph-fast"]);
});

test("close while a token is awaited opens nothing", async () => {
  let give;
  const server = bench.connect({ token: () => new Promise((resolve) => (give = resolve)) });
  server.close();
  give("late");
  await settle();
  assert.equal(bench.sockets.length, 0);
});

test("a token is replaced in place after three quarters of its time", async () => {
  const provide = provider(
    () => token({ exp: now() + 100, iat: now() }),
    () => token({ exp: now() + 200, iat: now() }),
    () => token({}),
  );
  bench.connect({ token: provide });
  const socket = await bench.open();
  await bench.pass(74_000);
  socket.say("still here");
  assert.equal(provide.asked, 1);
  await bench.pass(1_000);
  const [refresh] = socket.take();
  assert.deepEqual([refresh.type, refresh.event], ["json", "auth_refresh"]);
  assert.equal(refresh.data.token, token({ exp: now() + 200, iat: now() }));
  socket.answer(refresh, { type: "auth_refresh_success", expires: now() + 200 });
  for (let n = 0; n < 15; n += 1) {
    await bench.pass(10_000);
    socket.say("still here");
  }
  assert.equal(provide.asked, 3);
  const [second] = socket.take();
  socket.answer(second, { type: "auth_refresh_success" });
  await bench.pass(0);
  assert.deepEqual(bench.errors, []);
  await bench.again(); // the new one is used
  assert.equal(bench.socket.protocols[2], token({}));
});

test("clocks that differ do not matter", async () => {
  const provide = provider(() => token({ exp: now() - 5_000, iat: now() - 5_100 }));
  bench.connect({ token: provide });
  await bench.open();
  await bench.pass(18_000);
  assert.equal(provide.asked, 1);
  await bench.pass(1_000); // a quarter of 100 s is the least it takes to have left
  assert.equal(provide.asked, 2);
});

test("a token whose end lies beyond any timer does not end at once", async () => {
  const provide = provider(() => token({ exp: now() + 1e9, iat: now() }));
  bench.connect({ token: provide });
  await bench.open();
  await bench.pass(19_000);
  assert.equal(provide.asked, 1);
});

test("a renewal that fails is told, and the old token goes on", async () => {
  const provide = provider(() => token({ exp: now() + 100 }), new Error("no network"), "new");
  bench.connect({ token: provide });
  const socket = await bench.open();
  await bench.pass(75_000);
  assert.deepEqual(bench.errors, ["no network"]);
  socket.end(4401, "credentials expired");
  await bench.pass(20_000);
  assert.equal(bench.socket.protocols[2], "new");
});

test("a server that knows no renewal says so", async () => {
  const provide = provider(() => token({ exp: now() + 100 }), "new");
  bench.connect({ token: provide, ping: false });
  await settle();
  const socket = bench.socket.open();
  await bench.pass(75_000);
  socket.refuse(socket.take()[0], "no handler");
  assert.deepEqual(bench.errors, ["no handler"]);
  assert.equal(bench.server.state, "open");
});
