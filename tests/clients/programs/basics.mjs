/** Rooms, publishing, calls both ways, events: against a real server. */
import { args, assert, connect, joined, opened, over, until } from "./talk.mjs";

const [url] = args;
const ada = connect(url);
const bob = connect(url);
bob.on("confirm", ({ question }) => `${question} yes`);
const notices = [];
bob.on("notice", (data) => notices.push(data));

const states = [];
ada.on("state", (state) => states.push(state));
const one = ada.join("chat:1");
const two = bob.join("chat:1");
const heard = [];
two.on("message", (data, meta) => heard.push([data, meta.room, meta.connection_id]));
await Promise.all([joined(one), joined(two)]);
await until(() => ada.state == "open");
assert.deepEqual(states, ["open"]);

const places = await Promise.all([1, { text: "two" }, "three"].map((each) => one.publish(each)));
assert.ok(places.every((each) => each === null || each.offset > 0));
await until(() => heard.length == 3);
assert.deepEqual(heard, [[1], [{ text: "two" }], ["three"]].map(([data]) => [data, "chat:1", ada.id]));

assert.deepEqual(await ada.call("double", 21), 42);
await assert.rejects(ada.call("fail"), { message: "not today", maybeSent: false });
assert.equal(await bob.call("ask me"), "really? yes");

await ada.call("tell all", "news");
await until(() => notices.length == 1);
assert.deepEqual(notices, ["news"]);

const eve = connect(url);
const closed = eve.join("secret");
const refusal = await new Promise((resolve) => closed.on("error", resolve));
assert.match(refusal.message, /clients may not join/);
await assert.rejects(closed.publish(1), /clients may not join/);

two.leave();
await one.publish("unheard");
assert.equal(await bob.call("double", 1), 2); // by then it would have come
assert.equal(heard.length, 3);

const bare = [];
ada.on("message", (data) => bare.push(data));
assert.equal(ada.send({ type: "say", text: "as it is" }), true);
await until(() => bare.length == 1);
assert.deepEqual(bare, [{ heard: { type: "say", text: "as it is" } }]);
await opened(bob);
over(ada, bob, eve);
