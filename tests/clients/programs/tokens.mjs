/** Tokens that end in seconds: replaced in place, and asked for again where they were not. */
import { args, assert, connect, joined, opened, over, tell, told, until } from "./talk.mjs";

const [url] = args;
let asked = 0;
/** The test signs them; two at once would be mixed up. */
async function token() {
  asked += 1;
  tell("token");
  return told();
}

const ada = connect(url, { token });
const states = [];
ada.on("state", (state, { code }) => states.push([state, code]));
const room = ada.join("chat:1");
await joined(room);
const before = ada.id;
await until(() => asked == 3); // replaced twice
assert.equal(await ada.call("double", 1), 2);
assert.equal(ada.id, before);
assert.deepEqual(states, [["open", 0]]);
ada.close();

// One that is refused, then a good one.
const errors = [];
const tokens = ["not.a.token", token];
const bob = connect(url, { token: () => (tokens.length > 1 ? tokens.shift() : tokens[0]()) });
bob.on("state", (state, { code }) => errors.push([state, code]));
await opened(bob);
assert.deepEqual(errors, [["waiting", 4401], ["connecting", 4401], ["open", 4401]]);
bob.close();

// One that is refused for good.
const eve = connect(url, { token: () => "not.a.token" });
await until(() => eve.state == "closed");
assert.deepEqual([eve.why.code, eve.why.reason], [4401, "the token is malformed"]);
over(ada, bob, eve);
