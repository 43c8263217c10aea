/** Away for a while: what the room kept comes, what it did not is told. */
import { args, assert, connect, joined, over, tell, told, until } from "./talk.mjs";

const [url, cut] = args; // `cut` goes through a proxy that the test cuts
const ada = connect(url);
const bob = connect(cut);
const log = [];
for (const [name, options] of [["chat:1", {}], ["brief:1", { history: 2 }], ["plain:1", {}]]) {
  const room = bob.join(name, options);
  room.on("message", (data, { history }) => log.push(`${name} ${data}${history ? " old" : ""}`));
  room.on("resumed", (count) => log.push(`${name} resumed ${count}`));
  room.on("reset", () => log.push(`${name} reset`));
  await joined(room);
}
const rooms = ["chat:1", "brief:1", "plain:1"].map((name) => ada.join(name));
await Promise.all(rooms.map(joined));
for (const room of rooms) await room.publish(1);
await until(() => log.length == 3);
tell("cut");
await until(() => bob.state != "open");
for (const each of [2, 3, 4, 5, 6]) for (const room of rooms) await room.publish(each);
tell("back");
await until(() => log.includes("brief:1 6 old") && log.includes("plain:1 reset"));
assert.deepEqual(log.slice(0, 3), ["chat:1 1", "brief:1 1", "plain:1 1"]);
const of = (name) => log.slice(3).filter((each) => each.startsWith(name));
assert.deepEqual(of("chat"), ["chat:1 2", "chat:1 3", "chat:1 4", "chat:1 5", "chat:1 6", "chat:1 resumed 5"]);
assert.deepEqual(of("brief"), ["brief:1 reset", "brief:1 5 old", "brief:1 6 old"]);
assert.deepEqual(of("plain"), ["plain:1 reset"]);
const kept = await rooms[0].history({ limit: 2, before: 4 });
assert.deepEqual(kept.map(({ data, meta }) => [data, meta.offset]), []); // its own are left out
const others = await bob.join("chat:1").history({ limit: 2, before: 4 });
assert.deepEqual(others.map(({ data, meta }) => [data, meta.offset]), [[2, 2], [3, 3]]);
over(ada, bob);
