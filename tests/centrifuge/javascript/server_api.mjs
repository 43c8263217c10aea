// Centrifugo's HTTP API by `cent.js`, a library of Node backends.

import assert from "node:assert/strict";
import { CentClient } from "cent.js";
import { channel, runAll, test } from "./suite.mjs";

const { API, KEY } = process.env;
const client = new CentClient({ url: `${API}/api`, apiKey: KEY });

test("publish, history and removing it", async () => {
  const room = channel("api");
  const first = await client.publish({ channel: room, data: { input: "test" } });
  assert.equal(first.offset, 1);
  await client.broadcast({ channels: [room, channel("api")], data: 2 });
  const { publications, offset } = await client.getHistory({ channel: room, limit: 10 });
  assert.deepEqual(publications.map(({ data }) => data), [{ input: "test" }, 2]);
  assert.equal(offset, 2);
  await client.removeHistory({ channel: room });
  assert.deepEqual((await client.getHistory({ channel: room, limit: 10 })).publications, []);
});

test("presence, channels and info", async () => {
  const room = channel("api");
  assert.deepEqual(await client.getPresence({ channel: room }), { presence: {} });
  assert.deepEqual(await client.getPresenceStats({ channel: room }), { num_clients: 0, num_users: 0 });
  assert.deepEqual(await client.getChannels({ pattern: "nothing*" }), { channels: {} });
  assert.equal((await client.getInfo()).nodes.length, Number(process.env.WORKERS));
});

test("subscribe, unsubscribe, refresh and disconnect of who is not there", async () => {
  const user = "nobody";
  for (const command of ["subscribe", "unsubscribe", "refresh", "disconnect"]) {
    const params = command.includes("subscribe") ? { user, channel: "api" } : { user };
    assert.deepEqual(await client[command](params), {});
  }
});

test("an error is thrown with its code", async () => {
  await assert.rejects(client.publish({ channel: "", data: 1 }), /channel is missing|object Object/);
});

await runAll();
