/** Where WebSockets are blocked, a stream of events takes their place. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Bench, fate, settle } from "./fake.mjs";

let bench, asked, fetched;
beforeEach(() => {
  bench = new Bench();
  asked = [];
  fetched = globalThis.fetch;
  globalThis.fetch = (url, init) => new Promise((answer, fail) => {
    const one = { url: String(url), ...init, headers: { ...init.headers }, answer, fail };
    init.signal.addEventListener("abort", () => fail(new Error("aborted")));
    asked.push(one);
  });
});
afterEach(() => {
  bench.end();
  globalThis.fetch = fetched;
});

const OPEN = 'event: open\nretry: 1000\nid: a\ndata: {"id":"me","session":"0.secret"}\n\n';
const streams = () => asked.filter((each) => each.method != "POST");
const posts = () => asked.filter((each) => each.method == "POST");

/** Let what waits for streams, too, happen. */
async function turn() {
  for (let n = 0; n < 3; n += 1) {
    await settle();
    await new Promise((done) => setImmediate(done));
  }
}

/** Answer the latest request for a stream; what is said in it. */
async function stream(status = 200) {
  let say;
  const body = new ReadableStream({ start: (control) => (say = control) });
  const { answer, signal } = streams().at(-1);
  signal.addEventListener("abort", () => say.error(new Error("aborted")));
  answer({ status, body });
  await turn();
  return {
    async say(text) {
      say.enqueue(typeof text == "string" ? new TextEncoder().encode(text) : text);
      await turn();
    },
    async end() {
      say.close();
      await turn();
    },
  };
}

/** A client whose WebSocket was cut off. */
async function blocked(options = {}) {
  const server = bench.connect({ events: undefined, ping: false, ...options });
  await settle();
  bench.socket.end();
  await settle();
  return server;
}

/** The same with an open stream. */
async function listening(options) {
  const server = await blocked(options);
  const events = await stream();
  await events.say(OPEN);
  await bench.pass(1_000);
  assert.equal(server.state, "open");
  return [server, events];
}

async function answer(status = 204) {
  posts().at(-1).answer({ status });
  await turn();
}

test("a WebSocket that does not open is followed by a stream at once", async () => {
  await blocked({ token: "abc" });
  assert.equal(asked.length, 1);
  const { url, method, headers } = asked[0];
  assert.deepEqual([url, method], ["http://server.test/events", undefined]);
  assert.deepEqual(headers, {
    Authorization: "Bearer abc", "Content-Type": "application/json", Session: "new",
  });
  assert.equal(bench.server.state, "connecting");
});

test("it may be elsewhere, or nowhere", async () => {
  await blocked({ events: "/live/events" });
  assert.equal(asked[0].url, "http://server.test/live/events");
  bench.server.close();
  await blocked({ events: false });
  assert.equal(asked.length, 1);
  assert.equal(bench.server.state, "waiting");
});

test("without a token it says so", async () => {
  await blocked();
  assert.equal(asked[0].headers.Authorization, "");
});

test("no token, no stream", async () => {
  bench.connect({ events: undefined, token: () => Promise.reject(new Error("no")) });
  await settle();
  assert.equal(bench.server.state, "waiting");
  assert.equal(asked.length, 0);
});

for (const code of [1001, 1012, 4429, 4503]) {
  test(`a server that refuses with ${code} is not behind a wall`, async () => {
    bench.connect({ events: undefined, ping: false });
    await settle();
    bench.socket.open().end(code);
    assert.equal(bench.server.state, "waiting");
    assert.equal(asked.length, 0);
  });
}

test("a connection that was open and is lost comes back as it was", async () => {
  bench.connect({ events: undefined });
  (await bench.open()).end();
  assert.equal(bench.server.state, "waiting");
  assert.equal(asked.length, 0);
  await bench.pass(250);
  assert.equal(bench.sockets.length, 2);
  bench.socket.end();
  await settle();
  assert.equal(asked.length, 0); // the server is away; where it was, WebSockets are not blocked
});

test("when both fail, it waits, and begins with a WebSocket", async () => {
  await blocked();
  streams()[0].fail(new TypeError("network"));
  await turn();
  assert.equal(bench.server.state, "waiting");
  await bench.pass(250);
  assert.deepEqual([bench.sockets.length, asked.length], [2, 1]);
});

for (const status of [200, 403, 404, 503]) {
  test(`an answer of ${status} that is no stream of ours is a failure`, async () => {
    await blocked();
    const events = await stream(status);
    await events.say("<!doctype html>\n\n<p>data: none</p>");
    await events.end();
    assert.equal(bench.server.state, "waiting");
    assert.equal(bench.server.why.code, 1006);
  });
}

test("401 asks for the token again", async () => {
  let count = 0;
  await blocked({ token: async () => `t${++count}` });
  await (await stream(401)).end();
  assert.equal(bench.server.state, "waiting");
  assert.equal(bench.server.why.code, 4401);
  await bench.pass(250);
  assert.equal(count, 2);
});

test("messages come in whatever pieces", async () => {
  const [server, events] = await listening();
  const heard = [];
  server.on("notice", (data) => heard.push(data));
  const said = [1, "\u00e9\u2028 data: x", null].map(
    (data) => `id: b\ndata: ${JSON.stringify({ type: "json", event: "notice", data })}\n\n`,
  );
  const bytes = new TextEncoder().encode(`:\n\n${said.join("id: only\n\n:\n\n")}`);
  for (let at = 0; at < bytes.length; at += 7) await events.say(bytes.slice(at, at + 7));
  assert.deepEqual(heard, [1, "\u00e9\u2028 data: x", null]);
});

test("what is said goes by requests, one after the other, in its session", async () => {
  const [server] = await listening();
  const found = fate(server.call("double", 21));
  server.send("plain");
  server.send({ own: 1 });
  await turn();
  assert.equal(posts().length, 1);
  const { url, headers, body } = posts()[0];
  assert.equal(url, "http://server.test/events");
  assert.equal(headers.Session, "0.secret");
  assert.equal(JSON.parse(body).event, "double");
  await answer();
  await answer(400); // dropped: nobody could do better
  await answer();
  const bodies = posts().map((each) => JSON.parse(each.body));
  assert.deepEqual(bodies.slice(1), [{ type: "text", data: "plain" }, { own: 1 }]);
  assert.equal(found.state, "pending");
});

for (const status of [429, 503]) {
  test(`${status}: the same again, a second later`, async () => {
    const [server] = await listening();
    server.send({ n: 1 });
    server.send({ n: 2 });
    await turn();
    await answer(status);
    assert.equal(posts().length, 1);
    await bench.pass(1_000);
    await turn();
    await answer();
    assert.deepEqual(posts().map((each) => JSON.parse(each.body).n), [1, 1, 2]);
  });
}

test("a request that fails ends the stream, which comes back as one", async () => {
  const [server] = await listening();
  server.send({ n: 1 });
  await turn();
  posts()[0].fail(new TypeError("network"));
  await turn();
  assert.equal(server.state, "waiting");
  await bench.pass(250);
  assert.deepEqual([bench.sockets.length, streams().length], [1, 2]);
  streams()[1].fail(new TypeError("network"));
  await turn();
  await bench.pass(500);
  assert.deepEqual([bench.sockets.length, streams().length], [1, 3]);
});

test("the server says why it ends it", async () => {
  const [server, events] = await listening();
  await events.say('event: close\ndata: {"code":1008,"reason":"bad data: \\"x\\""}\n\n');
  await events.end();
  assert.deepEqual(server.why, { code: 1008, reason: 'bad data: "x"', retryAt: 0 });
  assert.equal(server.state, "closed");
});

test("closing it leaves nothing", async () => {
  const [server, events] = await listening();
  server.send({ n: 1 });
  await turn();
  server.close();
  await turn();
  assert.equal(asked.every((each) => each.signal.aborted), true);
  assert.equal(server.state, "closed");
});
