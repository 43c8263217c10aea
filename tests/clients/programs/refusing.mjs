/** The broker of the server is away for a while: what is published keeps its order, who joins joins. */
import { args, assert, connect, joined, over, until } from "./talk.mjs";

const [url] = args;
const ada = connect(url);
const bob = connect(url);
const one = ada.join("chat:1");
const heard = [];
bob.join("chat:1").on("message", (data) => heard.push(data));
await until(() => ada.state == "open" && bob.state == "open", "open");
await Promise.all([joined(one), joined(bob.join("chat:1"))]);

await bob.call("away", true);
const places = [1, 2, 3].map((each) => one.publish(each));
const late = ada.join("chat:2");
assert.equal(await ada.call("double", 2), 4); // so they were refused before
places.push(one.publish(4));
assert.equal(late.isJoined, false);
await bob.call("away", false);
places.push(one.publish(5));

assert.deepEqual((await Promise.all(places)).map((each) => each.offset), [1, 2, 3, 4, 5]);
places.push(one.publish(6));
await until(() => heard.length == 6, "all is heard");
assert.deepEqual(heard, [1, 2, 3, 4, 5, 6]);
await joined(late);
over(ada, bob);
