/** The server is killed and comes back; what was published meanwhile arrives, once. */
import { args, assert, connect, joined, over, tell, told, until } from "./talk.mjs";

const [url] = args;
const ada = connect(url);
const bob = connect(url);
const one = ada.join("chat:1");
const two = bob.join("chat:1", { history: 10 });
const heard = [];
const log = [];
two.on("message", (data) => heard.push(data));
two.on("reset", () => log.push("reset"));
await Promise.all([joined(one), joined(two)]);
await one.publish("before");
await until(() => heard.length == 1);
tell("kill");
await until(() => ada.state == "waiting" && bob.state == "waiting");
const later = one.publish("while it was away");
assert.equal(await told(), "back");
assert.equal((await later).offset, 1);
await until(() => heard.length == 2);
assert.deepEqual(heard, ["before", "while it was away"]);
assert.deepEqual(log, ["reset"]); // the histories of a killed server are gone
over(ada, bob);
