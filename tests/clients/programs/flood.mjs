/** Ten thousand messages, more than any queue holds: all arrive, once and in order. */
import { args, assert, connect, joined, over, until } from "./talk.mjs";

const [url, count] = args;
const ada = connect(url);
const bob = connect(url);
const one = ada.join("chat:1");
const two = bob.join("chat:1");
const heard = [];
two.on("message", (data) => heard.push(data));
two.on("reset", () => assert.fail("reset"));
await Promise.all([joined(one), joined(two)]);
const places = await Promise.all(Array.from({ length: Number(count) }, (_, n) => one.publish(n)));
await until(() => heard.length == count);
assert.deepEqual(heard, Array.from({ length: Number(count) }, (_, n) => n));
assert.deepEqual(places.map((each) => each.offset), heard.map((n) => n + 1));
over(ada, bob);
