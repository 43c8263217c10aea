/** Who is there: from the first, through changes, over a lost connection. */
import { args, assert, connect, joined, over, tell, until } from "./talk.mjs";

const [url, cut] = args; // `cut` goes through a proxy that the test cuts
const ada = connect(url);
const bob = connect(cut);
const one = ada.join("chat:1", { presence: true });
await joined(one);
const counts = [];
one.on("presence", (members, { clients, users }) => {
  assert.equal(members.length, clients);
  assert.equal(users, clients); // who is nobody is a user of its own
  counts.push(clients);
});
const two = bob.join("chat:1", { presence: true });
await joined(two);
const ids = (room) => room.members.map(({ id }) => id).sort();
const both = () => ids(one).length == 2 && ids(one).join() == ids(two).join();
await until(both);
assert.deepEqual(ids(one), [ada.id, bob.id].sort());

await bob.call("show", { mood: "fine" });
await until(() => one.members.some(({ info }) => info?.mood == "fine"));
assert.equal(one.members.find(({ info }) => info).id, bob.id);

const former = bob.id;
tell("cut");
await until(() => ids(one).length == 1); // it has left, once
tell("back");
await until(both);
assert.notEqual(bob.id, former);
assert.ok(!ids(one).includes(former));
two.leave();
await until(() => ids(one).length == 1);
assert.deepEqual(counts.filter((each, n) => each != counts[n - 1]), [2, 1, 2, 1]);
over(ada, bob);
