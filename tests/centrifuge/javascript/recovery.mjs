// What the library's suites ask of recovery, and of `getState`.

import assert from "node:assert/strict";
import {
  api, channel, connected, connectTo, many, next, pause, publish, runAll, subscribed, test,
} from "./suite.mjs";

const transport = process.argv[2];
const GET_STATE = 13; // of the library's codes of errors
const open = () => connectTo(transport, { minReconnectDelay: 1 });

async function away(client, whileAway) {
  client.disconnect();
  await pause(50);
  await whileAway();
}

test("stream: recovery after disconnect delivers missed publications", async () => {
  const client = await connected(open());
  const room = channel("recovery:r");
  const sub = await subscribed(client.newSubscription(room));
  const first = next(sub, "publication");
  await publish(room, 1);
  assert.equal((await first).data, 1);
  await away(client, async () => {
    for (const n of [2, 3, 4]) await publish(room, n);
  });
  const again = next(sub, "subscribed");
  const missed = many(sub, "publication", 3);
  await connected(client);
  const { recovered, wasRecovering } = await again;
  assert.deepEqual([recovered, wasRecovering], [true, true]);
  assert.deepEqual((await missed).map(({ data }) => data), [2, 3, 4]);
  const live = next(sub, "publication");
  await publish(room, 5);
  assert.equal((await live).data, 5);
});

test("stream: recovery after unsubscribe and subscribe", async () => {
  const client = await connected(open());
  const room = channel("recovery:r");
  const sub = await subscribed(client.newSubscription(room));
  const first = next(sub, "publication");
  await publish(room, 1);
  await first;
  sub.unsubscribe();
  await publish(room, 2);
  await publish(room, 3);
  const again = next(sub, "subscribed");
  const missed = many(sub, "publication", 2);
  await subscribed(sub);
  assert.equal((await again).recovered, true);
  assert.deepEqual((await missed).map(({ data }) => data), [2, 3]);
});

test("stream: unrecoverable position subscribes without recovery", async () => {
  const client = await connected(open());
  const room = channel("smallhistory:r");
  const sub = await subscribed(client.newSubscription(room));
  const first = next(sub, "publication");
  await publish(room, 1);
  await first;
  sub.unsubscribe();
  for (const n of [2, 3, 4, 5]) await publish(room, n);
  const again = next(sub, "subscribed");
  await subscribed(sub);
  const { recovered, wasRecovering } = await again;
  assert.deepEqual([recovered, wasRecovering], [false, true]);
  const live = next(sub, "publication");
  await publish(room, 6);
  assert.equal((await live).data, 6);
});

test("stream: a room that was emptied and filled is another", async () => {
  const client = await connected(open());
  const room = channel("recovery:r");
  const sub = await subscribed(client.newSubscription(room));
  const first = next(sub, "publication");
  await publish(room, 1);
  await first;
  await away(client, async () => {
    await api("history_remove", { channel: room });
    await publish(room, 2);
  });
  const again = next(sub, "subscribed");
  const missed = next(sub, "publication");
  await connected(client);
  assert.equal((await again).recovered, true); // the position stays, so nothing is lost
  assert.equal((await missed).data, 2);
});

test("getState is called on initial subscribe and its position recovers", async () => {
  const client = await connected(open());
  const room = channel("state");
  for (const n of [1, 2, 3]) await publish(room, n);
  let asked = 0;
  const sub = client.newSubscription(room, {
    getState: async () => { asked += 1; return { offset: 0, epoch: "" }; },
  });
  const missed = many(sub, "publication", 3);
  await subscribed(sub);
  assert.deepEqual((await missed).map(({ data }) => data), [1, 2, 3]);
  assert.equal(asked, 1);
});

test("getState is not called on reconnect when recovery succeeds", async () => {
  const client = await connected(open());
  const room = channel("state");
  let asked = 0;
  const sub = await subscribed(client.newSubscription(room, {
    recoverable: true,
    getState: async () => { asked += 1; return { offset: 0, epoch: "" }; },
  }));
  const again = next(sub, "subscribed");
  await away(client, async () => {});
  await connected(client);
  assert.equal((await again).recovered, true);
  assert.equal(asked, 1);
});

test("without getState, subscribe uses the option since", async () => {
  const client = await connected(open());
  const room = channel("state");
  await publish(room, 1);
  const sub = client.newSubscription(room, { since: { offset: 0, epoch: "" } });
  const missed = next(sub, "publication");
  await subscribed(sub);
  assert.equal((await missed).data, 1);
});

test("getState error triggers another subscribe with an error event", async () => {
  const client = await connected(open());
  let asked = 0;
  const sub = client.newSubscription(channel("state"), {
    minResubscribeDelay: 20,
    maxResubscribeDelay: 20,
    getState: async () => {
      asked += 1;
      if (asked === 1) throw new Error("the database is away");
      return { offset: 0, epoch: "" };
    },
  });
  const failed = next(sub, "error");
  await subscribed(sub);
  const { type, error } = await failed;
  assert.equal(type, "subscribe");
  assert.equal(error.code, GET_STATE);
  assert.equal(asked, 2);
});

test("getState that keeps failing keeps trying", async () => {
  const client = await connected(open());
  let asked = 0;
  const sub = client.newSubscription(channel("state"), {
    minResubscribeDelay: 10,
    maxResubscribeDelay: 10,
    getState: async () => { asked += 1; throw new Error("never"); },
  });
  sub.on("error", () => {});
  sub.subscribe();
  await pause(500);
  assert.ok(asked > 2);
  assert.equal(sub.state, "subscribing");
  sub.unsubscribe();
});

test("getState with a real position recovers missed publications", async () => {
  const client = await connected(open());
  const room = channel("state");
  const former = client.newSubscription(room, { recoverable: true });
  const known = next(former, "subscribed");
  await subscribed(former);
  const { epoch } = (await known).streamPosition;
  former.unsubscribe();
  client.removeSubscription(former);
  for (const n of [1, 2]) await publish(room, n);
  const sub = client.newSubscription(room, { getState: async () => ({ offset: 0, epoch }) });
  const missed = many(sub, "publication", 2);
  await subscribed(sub);
  assert.deepEqual((await missed).map(({ data }) => data), [1, 2]);
});

test("getState is called when the position is unrecoverable", async () => {
  const client = await connected(open());
  const room = channel("smallhistory:state");
  let asked = 0;
  const sub = await subscribed(client.newSubscription(room, {
    minResubscribeDelay: 20,
    maxResubscribeDelay: 20,
    getState: async () => {
      asked += 1;
      const { offset, epoch } = await api("history", { channel: room });
      return { offset: offset ?? 0, epoch };
    },
  }));
  assert.equal(asked, 1);
  await away(client, async () => {
    for (const n of [1, 2, 3, 4, 5]) await publish(room, n);
  });
  const again = next(sub, "subscribed");
  await connected(client);
  await again;
  assert.equal(asked, 2);
  const live = next(sub, "publication");
  await publish(room, 6);
  assert.equal((await live).data, 6);
});

await runAll();
