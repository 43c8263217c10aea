// What the library's own suite asks of each transport, case by case, in JSON or (PROTOBUF) Protobuf.

import assert from "node:assert/strict";
import {
  channel, connected, connectTo, eventually, library, many, next, pause, runAll, subscribed, test,
  token,
} from "./suite.mjs";

const transport = process.argv[2];
const protobuf = process.argv[3] === "protobuf";
const { UnauthorizedError } = library(protobuf);
const TRANSPORT_CLOSED = 1; // of the library's codes

const data = (value) => (protobuf ? new TextEncoder().encode(JSON.stringify(value)) : value);
const value = (got) => (protobuf ? JSON.parse(new TextDecoder().decode(got)) : got);
const open = (options) => connectTo(transport, options, { protobuf });
const secured = (options) => connectTo(transport, options, { protobuf, where: "SECURED" });
const CONNECT = () => token({ sub: "42" });
const subscription = (room) => token({ sub: "42", channel: room });

test("connects and disconnects", async () => {
  const client = open();
  const gone = next(client, "disconnected");
  await connected(client);
  client.disconnect();
  assert.equal((await gone).code, 0);
  assert.equal(client.state, "disconnected");
});

test("subscribe and unsubscribe", async () => {
  const client = await connected(open());
  const sub = await subscribed(client.newSubscription(channel("test")));
  const left = next(sub, "unsubscribed");
  sub.unsubscribe();
  assert.equal((await left).code, 0);
  assert.equal(sub.state, "unsubscribed");
  assert.equal(client.state, "connected");
});

test("publish and receive message", async () => {
  const client = await connected(open());
  const sub = await subscribed(client.newSubscription(channel("test")));
  const heard = next(sub, "publication");
  await sub.publish(data({ my: "data" }));
  const got = await heard;
  assert.deepEqual(value(got.data), { my: "data" });
  assert.ok(got.info.client);
});

test("rpc buffered till connected", async () => {
  const client = open();
  const failed = client.rpc("method", data({ my: "data" })).then(
    () => assert.fail("there is no such method"),
    (error) => error,
  );
  client.connect();
  assert.equal((await failed).code, 108);
});

test("handles offline and online events", async () => {
  const network = new EventTarget();
  const client = await connected(open({ networkEventTarget: network }));
  const lost = next(client, "connecting", (context) => context.code === TRANSPORT_CLOSED);
  network.dispatchEvent(new Event("offline"));
  await lost;
  assert.equal(client.state, "connecting");
  network.dispatchEvent(new Event("online"));
  await client.ready(5000);
  const gone = next(client, "disconnected");
  client.disconnect();
  await gone;
});

test("not connecting on online in disconnected state", async () => {
  const network = new EventTarget();
  const client = await connected(open({ networkEventTarget: network }));
  client.disconnect();
  network.dispatchEvent(new Event("online"));
  await pause(100);
  assert.equal(client.state, "disconnected");
});

test("subscribe and presence", async () => {
  const client = await connected(open());
  const sub = await subscribed(client.newSubscription(channel("test")));
  const { clients } = await sub.presence();
  assert.equal(Object.keys(clients).length, 1);
  const stats = await sub.presenceStats();
  assert.deepEqual([stats.numClients, stats.numUsers], [1, 1]);
});

test("connect disconnect loop", async () => {
  const client = open();
  const gone = next(client, "disconnected");
  for (let n = 0; n < 10; n += 1) {
    client.connect();
    client.disconnect();
  }
  await gone;
  assert.equal(client.state, "disconnected");
  await connected(client);
});

test("subscribe and unsubscribe loop", async () => {
  const client = await connected(open());
  const watcher = await connected(open());
  const room = channel("test");
  const sub = client.newSubscription(room);
  for (let n = 0; n < 10; n += 1) {
    sub.subscribe();
    sub.unsubscribe();
  }
  assert.equal(sub.state, "unsubscribed");
  await subscribed(sub);
  const watching = await subscribed(watcher.newSubscription(room));
  await eventually(() => watching.presenceStats(), (stats) => stats.numClients === 2);
  sub.unsubscribe();
  await eventually(() => watching.presenceStats(), (stats) => stats.numClients === 1);
  const { clients } = await watching.presence();
  assert.equal(Object.keys(clients).length, 1);
});

test("unsubscribe right after connect", async () => {
  const client = await connected(open());
  const sub = client.newSubscription(channel("test"));
  const left = next(sub, "unsubscribed");
  sub.subscribe();
  client.disconnect();
  client.connect();
  sub.unsubscribe();
  await left;
  await subscribed(sub);
});

test("connects and subscribes with token", async () => {
  const room = channel("private");
  for (let n = 0; n < 3; n += 1) {
    const asked = { connect: 0, subscribe: 0 };
    const client = secured({
      getToken: async () => { await pause(10 * n); asked.connect += 1; return CONNECT(); },
    });
    client.connect();
    const sub = client.newSubscription(room, {
      getToken: async () => { await pause(20); asked.subscribe += 1; return subscription(room); },
    });
    await subscribed(sub);
    assert.equal(client.state, "connected");
    const left = next(sub, "unsubscribed");
    sub.unsubscribe();
    client.disconnect();
    await left;
    assert.deepEqual(asked, { connect: 1, subscribe: 1 });
  }
});

test("subscribes and unsubscribes from many subs", async () => {
  const client = secured({ getToken: async () => CONNECT() });
  client.connect();
  const subs = [1, 2, 3, 4, 5].map((n) => {
    const room = channel(`private${n}`);
    return client.newSubscription(room, {
      getToken: async () => { await pause(Math.random() * 50); return subscription(room); },
    });
  });
  await Promise.all(subs.map(subscribed));
  const left = subs.map((sub) => next(sub, "unsubscribed"));
  for (const sub of subs) sub.unsubscribe();
  client.disconnect();
  for (const context of await Promise.all(left)) assert.equal(context.code, 0);
});

test("retries connection getToken error", async () => {
  let asked = 0;
  const client = secured({
    minReconnectDelay: 1,
    getToken: async () => {
      asked += 1;
      if (asked === 1) throw new Error("not yet");
      return CONNECT();
    },
  });
  await connected(client);
  assert.equal(asked, 2);
});

test("retries connection getData error", async () => {
  let asked = 0;
  const client = open({
    minReconnectDelay: 1,
    getData: async () => {
      asked += 1;
      if (asked === 1) throw new Error("not yet");
      return data({});
    },
  });
  await connected(client);
  assert.equal(asked, 2);
});

test("retries subscription getToken error", async () => {
  const room = channel("private");
  let asked = 0;
  const client = secured({ getToken: async () => CONNECT() });
  const sub = client.newSubscription(room, {
    minResubscribeDelay: 1,
    getToken: async () => {
      asked += 1;
      if (asked === 1) throw new Error("not yet");
      return subscription(room);
    },
  });
  client.connect();
  await subscribed(sub);
  assert.equal(asked, 2);
});

test("retries subscription getData error", async () => {
  let asked = 0;
  const client = open();
  const sub = client.newSubscription(channel("test"), {
    minResubscribeDelay: 1,
    getData: async () => {
      asked += 1;
      if (asked === 1) throw new Error("not yet");
      return data({});
    },
  });
  client.connect();
  await subscribed(sub);
  assert.equal(asked, 2);
});

test("disconnected with unauthorized", async () => {
  const client = open({ getToken: async () => { throw new UnauthorizedError(""); } });
  const gone = next(client, "disconnected");
  client.connect();
  assert.equal((await gone).code, 1);
});

test("unsubscribed with unauthorized", async () => {
  const client = open();
  const sub = client.newSubscription(channel("test"), {
    getToken: async () => { throw new UnauthorizedError(""); },
  });
  const left = next(sub, "unsubscribed");
  sub.subscribe();
  await connected(client);
  assert.equal((await left).code, 1);
});

// Not of that suite: what a server answers to tokens that are none.

test("a bad token is final", async () => {
  const client = secured({ token: `${CONNECT()}x` });
  const gone = next(client, "disconnected");
  client.connect();
  assert.equal((await gone).code, 3500);
});

test("a token that has expired is asked for again", async () => {
  const past = Math.floor(Date.now() / 1000) - 600;
  const client = secured({
    token: token({ sub: "42", exp: past }),
    getToken: async () => CONNECT(),
    minReconnectDelay: 1,
  });
  await connected(client);
});

test("a bad subscription token is permission denied", async () => {
  const client = await connected(secured({ getToken: async () => CONNECT() }));
  const sub = client.newSubscription(channel("private"), { token: "none" });
  const left = next(sub, "unsubscribed");
  sub.subscribe();
  assert.equal((await left).code, 103);
});

test("a room that nobody opens is permission denied", async () => {
  const client = await connected(secured({ getToken: async () => CONNECT() }));
  const sub = client.newSubscription(channel("private"));
  const left = next(sub, "unsubscribed");
  sub.subscribe();
  assert.equal((await left).code, 103);
});

test("messages keep their order", async () => {
  const client = await connected(open());
  const sub = await subscribed(client.newSubscription(channel("test")));
  const heard = many(sub, "publication", 100);
  for (let n = 0; n < 100; n += 1) {
    const sent = sub.publish(data(n));
    if (transport !== "websocket") await sent; // each is a request of its own
  }
  const got = (await heard).map((each) => value(each.data));
  assert.deepEqual(got, Array.from({ length: 100 }, (_, n) => n));
});

if (transport === "websocket") {
  test("unsubscribe in between connect command and reply", async () => {
    const client = open();
    const sub = client.newSubscription(channel("test"));
    const sent = next(client, "__centrifuge_debug:connect_frame_sent");
    client.on("__centrifuge_debug:connect_frame_sent", () => sub.unsubscribe());
    sub.subscribe();
    client.connect();
    await sent;
    await client.ready(5000);
    assert.equal(sub.state, "unsubscribed");
    await pause(200);
    await subscribed(sub);
  });

  test("reconnect after close before transport open", async () => {
    const network = new EventTarget();
    const client = open({ networkEventTarget: network, minReconnectDelay: 1 });
    client.once("__centrifuge_debug:transport_initialized", () => {
      network.dispatchEvent(new Event("offline"));
    });
    await connected(client);
  });
}

await runAll();
