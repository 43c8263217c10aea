/** One client behind a proxy that cuts off WebSockets, and one that is free. */
import { args, assert, connect, joined, opened, over, tell, until } from "./talk.mjs";

const [url, blocked, ada_token, bob_token] = args;
const ada = connect(url, { token: ada_token });
const bob = connect(blocked, { token: bob_token });
bob.on("confirm", ({ question }) => `${question} yes`);
const notices = [];
bob.on("notice", (data) => notices.push(data));

const one = ada.join("chat:blocked", { presence: true });
const two = bob.join("chat:blocked", { presence: true });
const heard = { one: [], two: [] };
const log = [];
one.on("message", (data, { user }) => heard.one.push([data, user]));
two.on("message", (data, { user }) => heard.two.push([data, user]));
two.on("resumed", (count) => log.push(count));
await Promise.all([joined(one), joined(two), opened(bob)]);
await until(() => one.members.length == 2 && two.members.length == 2);
assert.deepEqual(two.members.map((each) => each.user).sort(), ["ada", "bob"]);

assert.equal((await one.publish("over a WebSocket")).offset, 1);
assert.equal((await two.publish({ by: "a request" })).offset, 2);
await until(() => heard.one.length && heard.two.length);
assert.deepEqual(heard, { one: [[{ by: "a request" }, "bob"]], two: [["over a WebSocket", "ada"]] });

// In the order in which they were said.
const places = await Promise.all(Array.from({ length: 30 }, (_, n) => two.publish(n)));
assert.deepEqual(places.map(({ offset }) => offset), Array.from({ length: 30 }, (_, n) => n + 3));
assert.equal(await bob.call("double", 21), 42);
assert.equal(await bob.call("ask me"), "really? yes");
await ada.call("tell all", "news");
await until(() => notices.length == 1);
assert.equal((await two.history({ limit: 5 })).length, 1); // without its own

tell("cut");
await until(() => bob.state == "waiting");
const missed = Array.from({ length: 5 }, (_, n) => `missed ${n}`);
for (const each of missed) await one.publish(each);
const later = two.publish("said while it was away");
tell("back");
await until(() => log.length == 1);
assert.deepEqual(log, [5]);
assert.deepEqual(heard.two.slice(1).map(([data]) => data), missed);
assert.equal((await later).offset, 38);
over(ada, bob);
