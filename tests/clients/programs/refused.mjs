/** Refusals that a page could not see, and ends that are final. */
import { args, assert, connect, opened, over, until } from "./talk.mjs";

const [url, full] = args; // `full` has room for one connection
const first = connect(full);
await opened(first);
const second = connect(full);
await until(() => second.state == "waiting");
assert.deepEqual([second.why.code, second.why.reason], [4503, "too many connections"]);
first.close();
await opened(second);

const kept = connect(url);
await opened(kept);
kept.call("hang up", 4000).catch(() => {});
await until(() => kept.state == "closed");
assert.equal(kept.why.code, 4000);

const denied = connect(`${url}?no=entry`);
await until(() => denied.state == "closed");
assert.deepEqual([denied.why.code, denied.why.reason], [1008, "no entry"]);

const again = connect(url);
const states = [];
await opened(again);
again.on("state", (state, { code }) => states.push([state, code]));
again.call("hang up", 4008).catch(() => {});
await until(() => states.length == 3);
assert.deepEqual(states, [["waiting", 4008], ["connecting", 4008], ["open", 4008]]);
over(second, kept, denied, again);
