/** Rooms: every message in order and once, every publish once, whatever is lost on the way. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Bench, fate, settle } from "./fake.mjs";

let bench;
beforeEach(() => (bench = new Bench()));
afterEach(() => bench.end());

/** A room that writes down what it tells. */
function watched(name = "lobby", options = {}) {
  const room = bench.server.join(name, options);
  const log = [];
  room.on("message", (data, meta) => log.push(meta.history ? `old ${data}` : data));
  for (const event of ["joined", "reset", "left"]) room.on(event, () => log.push(event));
  room.on("resumed", (count) => log.push(`resumed ${count}`));
  room.on("error", (error) => log.push(`error ${error.message}`));
  room.on("presence", (members, crowd) => log.push(`${members.map((each) => each.id).join()} ${crowd.clients}/${crowd.users}`));
  return { room, log };
}

const M = (offset, data = offset) => ({ type: "json", room: "lobby", offset, data });
const success = (more) => ({ type: "join_room_success", room: "lobby", status: "joined", ...more });

/** A client in a room whose newest message is 5. */
async function inRoom(options, answer = { epoch: "e", offset: 5 }) {
  bench.connect();
  const found = watched("lobby", options);
  const socket = await bench.open();
  const [join] = socket.take();
  socket.answer(join, success(answer));
  found.log.length = 0;
  return { ...found, socket, join };
}

test("it joins as soon as there is a connection", async () => {
  bench.connect();
  const { room, log } = watched("lobby", { history: 2, presence: true });
  const socket = await bench.open();
  const [{ id, ...join }] = socket.take();
  assert.deepEqual(join, { type: "join_room", room: "lobby", history: 2, presence: true });
  assert.equal(room.isJoined, false);
  socket.answer({ id }, success({ epoch: "e", offset: 5, messages: [M(4), M(5)], presence: { version: 1, members: [{ id: "a", user: "ada", info: null }] } }));
  assert.equal(room.isJoined, true);
  assert.deepEqual(room.position, { epoch: "e", offset: 5 });
  assert.deepEqual(log, ["a 1/1", "old 4", "old 5", "joined"]);
  assert.equal(bench.server.join("lobby"), room);
});

test("messages come with what is known of them", async () => {
  const { room, socket } = await inRoom();
  const found = [];
  room.on("message", (data, meta) => found.push([data, meta]));
  socket.say({ ...M(6, { a: 1 }), event: "moved", connection_id: "c", user: "ada", timestamp: "T" });
  socket.say({ type: "binary", room: "lobby", offset: 7, data: "AQID" });
  socket.say({ type: "json", room: "lobby", offset: 8 });
  assert.deepEqual(found[0], [{ a: 1 }, { type: "json", room: "lobby", offset: 6, event: "moved", connection_id: "c", user: "ada", timestamp: "T" }]);
  assert.deepEqual(found[1][0], new Uint8Array([1, 2, 3]));
  assert.equal(found[2][0], null);
});

test("an event of a room is told as a message and as an event", async () => {
  const { log, socket } = await inRoom();
  bench.server.on("moved", (data, meta) => log.push(`moved ${data} in ${meta.room}`));
  socket.say({ ...M(6), event: "moved" });
  assert.deepEqual(log, [6, "moved 6 in lobby"]);
});

test("what came already does not come again, and a skip is no message", async () => {
  const { room, log, socket } = await inRoom();
  for (const offset of [5, 6, 6, 4]) socket.say(M(offset));
  socket.say({ type: "skip", room: "lobby", offset: 7 });
  socket.say(M(8));
  assert.deepEqual(log, [6, 8]);
  assert.equal(room.position.offset, 8);
  assert.deepEqual(socket.take(), []);
});

test("a gap is filled before anything behind it is told", async () => {
  const { room, log, socket } = await inRoom();
  socket.say(M(8));
  socket.say(M(9));
  const [{ id, ...asked }] = socket.take();
  assert.deepEqual(asked, { type: "history", room: "lobby", since: { epoch: "e", offset: 5 }, limit: 1000 });
  assert.deepEqual(log, []);
  socket.answer({ id }, { type: "history", room: "lobby", messages: [M(6), M(7), M(8)], epoch: "e", offset: 8 });
  assert.deepEqual(log, [6, 7, 8, 9]);
  assert.equal(room.position.offset, 9);
});

test("a gap that is larger than an answer is filled in pieces", async () => {
  const { log, socket } = await inRoom();
  socket.say(M(9));
  const [first] = socket.take();
  socket.answer(first, { messages: [M(6), M(7)], epoch: "e", offset: 9, more: true });
  const [second] = socket.take();
  assert.deepEqual(second.since, { epoch: "e", offset: 7 });
  socket.answer(second, { messages: [M(8), M(9)], epoch: "e", offset: 9 });
  assert.deepEqual(log, [6, 7, 8, 9]);
});

test("a gap behind a gap is filled as well", async () => {
  const { log, socket } = await inRoom();
  socket.say(M(7));
  socket.say(M(9));
  socket.answer(socket.take()[0], { messages: [M(6), M(7)], epoch: "e", offset: 7 });
  socket.answer(socket.take()[0], { messages: [M(8), M(9)], epoch: "e", offset: 9 });
  assert.deepEqual(log, [6, 7, 8, 9]);
});

test("of more than is held behind a gap the rest is asked for", async () => {
  const { log, socket } = await inRoom();
  for (let offset = 7; offset < 1_107; offset += 1) socket.say(M(offset));
  socket.answer(socket.take()[0], { messages: [M(6)], epoch: "e", offset: 6 });
  const [rest] = socket.take();
  assert.deepEqual(rest.since, { epoch: "e", offset: 1_006 });
  const missing = Array.from({ length: 100 }, (_, n) => M(1_007 + n));
  socket.answer(rest, { messages: missing, epoch: "e", offset: 1_106 });
  assert.deepEqual(log, Array.from({ length: 1_101 }, (_, n) => 6 + n));
});

test("a gap that history no longer covers is told, and what was held is delivered", async () => {
  const { room, log, socket } = await inRoom();
  socket.say(M(8));
  socket.say(M(9));
  socket.answer(socket.take()[0], { messages: [], lost: true, epoch: "e", offset: 9 });
  assert.deepEqual(log, ["reset", 8, 9]);
  assert.deepEqual(room.position, { epoch: "e", offset: 9 });
});

test("where clients may not ask for history a gap is filled by joining again", async () => {
  const { log, socket } = await inRoom();
  socket.say(M(8));
  socket.refuse(socket.take()[0], "clients may not ask for the history of this room");
  const [join] = socket.take();
  assert.deepEqual(join.since, { epoch: "e", offset: 5 });
  socket.say(M(9));
  socket.answer(join, success({ epoch: "e", offset: 8, resumed: true, messages: [M(6), M(7), M(8)] }));
  assert.deepEqual(log, [6, 7, 8, 9, "resumed 3", "joined"]);
});

test("it resumes where it was, as the connection it was", async () => {
  const { log, socket } = await inRoom({ history: 10 });
  socket.say(M(6));
  const next = await bench.again();
  const [{ id, ...join }] = next.take();
  assert.deepEqual(join, { type: "join_room", room: "lobby", since: { epoch: "e", offset: 6 }, was: "me" });
  next.say(M(8)); // before the answer, as one of many processes may have it
  next.answer({ id }, success({ epoch: "e", offset: 7, resumed: true, messages: [M(7)] }));
  assert.deepEqual(log, [6, 7, 8, "resumed 1", "joined"]);
});

test("a connection that never was a member is not the one it was", async () => {
  await inRoom();
  const between = await bench.again();
  between.say({ type: "json", data: null, target: "between", id: between.take()[0].id + "x" });
  const next = await bench.again();
  assert.equal(next.take()[0].was, "me");
});

test("what cannot be resumed is told, and the latest messages are asked for anew", async () => {
  const { room, log } = await inRoom({ history: 2 });
  const next = await bench.again();
  next.answer(next.take()[0], success({ epoch: "f", offset: 3, resumed: false, messages: [] }));
  assert.deepEqual(log, ["reset", "joined"]);
  next.say(M(4));
  const [{ id, ...asked }] = next.take();
  assert.deepEqual(asked, { type: "history", room: "lobby", limit: 2 });
  next.answer({ id }, { messages: [M(2), M(3)], epoch: "f", offset: 3 });
  assert.deepEqual(log, ["reset", "joined", "old 2", "old 3", 4]);
  assert.deepEqual(room.position, { epoch: "f", offset: 4 });
});

test("a reset behind its back begins anew", async () => {
  const { room, log, socket } = await inRoom();
  socket.say(M(7)); // a gap, whose answer comes too late
  const [asked] = socket.take();
  socket.say({ type: "room_reset", room: "lobby", data: { epoch: "f", offset: 1 } });
  socket.answer(asked, { messages: [M(6)], epoch: "e", offset: 7 });
  socket.say(M(2));
  assert.deepEqual(log, ["reset", 2]);
  assert.deepEqual(room.position, { epoch: "f", offset: 2 });
});

test("a reset before the answer to joining joins again", async () => {
  bench.connect();
  const { room, log } = watched("lobby", { history: 2 });
  const socket = await bench.open();
  const [first] = socket.take();
  socket.say({ type: "room_reset", room: "lobby", data: { epoch: "f", offset: 1 } });
  const [second] = socket.take();
  assert.equal(second.history, 2);
  socket.answer(first, success({ epoch: "e", offset: 5 }));
  socket.answer(second, success({ epoch: "f", offset: 1, messages: [M(1)] }));
  assert.deepEqual(log, ["reset", "old 1", "joined"]);
  assert.deepEqual(room.position, { epoch: "f", offset: 1 });
});

test("an answer of another epoch is a reset, and what comes behind it is asked for", async () => {
  const { log, socket } = await inRoom();
  socket.say(M(8));
  socket.answer(socket.take()[0], { messages: [], epoch: "f", offset: 2 });
  const [asked] = socket.take();
  assert.deepEqual(asked.since, { epoch: "f", offset: 2 });
  socket.answer(asked, { messages: [M(3)], epoch: "f", offset: 3 });
  assert.deepEqual(log, ["reset", 3]);
});

test("a room without history has no positions, and a lost connection is a reset", async () => {
  const { room, log, socket } = await inRoom({}, {});
  assert.equal(room.position, null);
  socket.say({ type: "json", room: "lobby", data: "hi", connection_id: "c", timestamp: "T" });
  const next = await bench.again();
  const [{ id, ...join }] = next.take();
  assert.deepEqual(join, { type: "join_room", room: "lobby" });
  next.answer({ id }, success());
  assert.deepEqual(log, ["hi", "reset", "joined"]);
});

test("a refused room is told, rejects what waits, and is tried with the next connection", async () => {
  bench.connect();
  const { room, log } = watched();
  const waiting = fate(room.publish(1));
  const socket = await bench.open();
  socket.refuse(socket.take()[0], "room is full");
  await settle();
  assert.deepEqual(log, ["error room is full"]);
  assert.deepEqual(waiting, { state: "rejected", error: "room is full", maybeSent: false });
  await assert.rejects(room.publish(2), /room is full/);
  const next = await bench.again();
  next.answer(next.take()[0], success());
  assert.equal(room.isJoined, true);
});

test("a server that says try again is asked again", async () => {
  bench.connect();
  const { log } = watched();
  const socket = await bench.open();
  const [join] = socket.take();
  for (const pause of [1_000, 2_000, 4_000, 5_000, 5_000]) {
    socket.refuse(join, "try again");
    await bench.pass(pause - 1);
    assert.deepEqual(socket.take(), []);
    await bench.pass(1);
    assert.deepEqual(socket.take(), [join]);
  }
  socket.answer(join, success());
  assert.deepEqual(log, ["joined"]);
});

test("a room that one left is not joined by what was to be tried again", async () => {
  bench.connect();
  const { room } = watched();
  const socket = await bench.open();
  socket.refuse(socket.take()[0], "try again");
  room.leave();
  const [leave] = socket.take();
  assert.equal(leave.type, "leave_room");
  socket.answer(leave, {});
  await bench.pass(30_000);
  assert.deepEqual(socket.take(), []);
});

test("leaving is told, and the room can be joined anew", async () => {
  const { room, log, socket } = await inRoom();
  const waiting = fate(room.publish(1));
  socket.take();
  room.leave();
  room.leave();
  await settle();
  assert.deepEqual(socket.take().map(({ type, room }) => [type, room]), [["leave_room", "lobby"]]);
  assert.deepEqual(waiting, { state: "rejected", error: "left the room", maybeSent: true });
  socket.say(M(6));
  assert.deepEqual(log, ["left"]);
  const again = bench.server.join("lobby");
  assert.notEqual(again, room);
  socket.answer(socket.take()[0], success());
  assert.equal(again.isJoined, true);
  const next = await bench.again();
  assert.equal(next.take().length, 1);
});

test("leaving while it is being joined leaves", async () => {
  bench.connect();
  const { room, log } = watched();
  const socket = await bench.open();
  room.leave();
  const [join, leave] = socket.take();
  assert.equal(leave.type, "leave_room");
  socket.answer(join, success());
  assert.deepEqual(log, ["left"]);
  assert.equal(room.isJoined, false);
});

// Publishing.

test("a publish resolves with its place, and is no gap for its author", async () => {
  const { room, log, socket } = await inRoom();
  const place = fate(room.publish({ text: "hi" }));
  const [message] = socket.take();
  assert.deepEqual({ ...message, id: "" }, { type: "broadcast", room: "lobby", data: { text: "hi" }, id: "" });
  assert.match(message.id, /^[0-9a-f]{32}$/);
  socket.answer(message, { type: "broadcast_success", room: "lobby", epoch: "e", offset: 6 });
  await settle();
  assert.deepEqual(place, { state: "resolved", value: { epoch: "e", offset: 6 } });
  socket.say(M(7));
  assert.deepEqual(log, [7]);
});

test("a publish in a room without history resolves with null", async () => {
  const { room, socket } = await inRoom({}, {});
  const place = fate(room.publish("hi"));
  socket.answer(socket.take()[0], { type: "broadcast_success", room: "lobby" });
  await settle();
  assert.deepEqual(place, { state: "resolved", value: null });
});

test("what was not acknowledged is sent again, in its order and under its id", async () => {
  const { room } = await inRoom();
  const fates = [1, 2, 3].map((each) => fate(room.publish(each)));
  const sent = bench.socket.take();
  bench.socket.answer(sent[0], { epoch: "e", offset: 6 });
  const next = await bench.again();
  fates.push(fate(room.publish(4)));
  const [join, ...none] = next.take();
  assert.deepEqual(none, []); // a member first
  next.answer(join, success({ epoch: "e", offset: 7, resumed: true, messages: [] }));
  const again = next.take();
  assert.deepEqual(again.slice(0, 2), sent.slice(1));
  assert.equal(again[2].data, 4);
  again.forEach((each, n) => next.answer(each, { epoch: "e", offset: 7 + n }));
  await settle();
  assert.deepEqual(fates.map((each) => each.value.offset), [6, 7, 8, 9]);
});

test("an answer that was dropped on the way is asked for again", async () => {
  const { room, log, socket } = await inRoom();
  const place = fate(room.publish("hi"));
  const [message] = socket.take();
  await bench.pass(10_000);
  assert.deepEqual(socket.take(), [message]);
  socket.say(M(7)); // so there is a gap where the message is
  const [asked] = socket.take();
  socket.answer(message, { epoch: "e", offset: 6 });
  socket.answer(asked, { messages: [M(7)], epoch: "e", offset: 7 }); // without one's own
  await settle();
  assert.equal(place.value.offset, 6);
  assert.deepEqual(log, [7]);
  await bench.pass(20_000);
  assert.deepEqual(socket.take(), []);
});

test("a refused publish says so, and was not sent", async () => {
  const { room, socket } = await inRoom();
  const place = fate(room.publish("hi"));
  socket.refuse(socket.take()[0], "clients may not broadcast in this room");
  await settle();
  assert.deepEqual(place, { state: "rejected", error: "clients may not broadcast in this room", maybeSent: false });
});

/** The server's side of a room: it has no place for the next `refusals` messages. */
class Refusing {
  heard = [];
  placed = [];

  constructor(socket, refusals) {
    Object.assign(this, { socket, refusals });
  }

  /** Answer what came, one after the other. */
  answer() {
    for (let found; (found = this.socket.take()).length; ) {
      for (const each of found) {
        this.heard.push(each.data);
        if (this.refusals-- > 0) this.socket.refuse(each, "try again");
        else this.socket.answer(each, { epoch: "e", offset: 5 + this.placed.push(each.data) });
      }
    }
  }
}

test("what is published behind a refused message waits for it", async () => {
  const { room, socket } = await inRoom();
  const server = new Refusing(socket, 5);
  const fates = [1, 2, 3].map((each) => fate(room.publish(each)));
  server.answer();
  assert.deepEqual(server.heard.splice(0), [1, 2, 3]);
  fates.push(fate(room.publish(4)));
  for (const pause of [1_000, 2_000]) {
    await bench.pass(pause - 1);
    server.answer();
    assert.deepEqual(server.heard, []);
    await bench.pass(1);
    server.answer();
    assert.deepEqual(server.heard.splice(0), [1]); // alone: the others would be refused, or overtake it
  }
  fates.push(fate(room.publish(5)));
  await bench.pass(4_000);
  server.answer();
  fates.push(fate(room.publish(6)));
  server.answer();
  await settle();
  assert.deepEqual(server.placed, [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(fates.map((each) => each.value.offset), [6, 7, 8, 9, 10, 11]);
  await bench.pass(30_000);
  assert.deepEqual(socket.take(), []);
});

test("a room that refuses holds up no other", async () => {
  const { room, socket } = await inRoom();
  const other = bench.server.join("other");
  socket.answer(socket.take()[0], success());
  room.publish(1);
  socket.refuse(socket.take()[0], "try again");
  other.publish(2);
  assert.deepEqual(socket.take().map((each) => each.data), [2]);
});

test("a refused message that nobody waits for any more holds up nothing", async () => {
  const { room, socket } = await inRoom();
  const lost = fate(room.publish(1));
  const [message] = socket.take();
  socket.say(M(9));
  socket.refuse(socket.take()[0], "clients may not ask for history in this room");
  socket.answer(socket.take()[0], success({ epoch: "f", offset: 0, resumed: false, messages: [] }));
  await settle();
  assert.equal(lost.error, "the room was reset");
  socket.refuse(message, "try again");
  await bench.pass(1_000);
  assert.deepEqual(socket.take(), []);
  room.publish(2);
  assert.deepEqual(socket.take().map((each) => each.data), [2]);
});

test("a connection that is lost while a room refuses changes no order", async () => {
  const { room, socket } = await inRoom();
  for (const each of [1, 2]) room.publish(each);
  for (const each of socket.take()) socket.refuse(each, "try again");
  room.publish(3);
  const next = await bench.again();
  next.answer(next.take()[0], success({ epoch: "e", offset: 5, resumed: true, messages: [] }));
  const server = new Refusing(next, 0);
  server.answer();
  assert.deepEqual(server.placed, [1, 2, 3]);
});

test("after four minutes what may have been sent is not sent again", async () => {
  const { room } = await inRoom();
  const sent = fate(room.publish("sent"));
  bench.socket.end();
  const waiting = fate(room.publish("not yet"));
  await bench.pass(250);
  for (let n = 0; n < 30; n += 1) {
    bench.socket.end();
    await bench.pass(10_000);
  }
  const socket = await bench.open();
  socket.answer(socket.take()[0], success({ epoch: "e", offset: 6, resumed: true, messages: [M(6)] }));
  const messages = socket.take();
  assert.deepEqual(messages.map((each) => each.data), ["not yet"]);
  await settle();
  assert.deepEqual(sent, { state: "rejected", error: "no answer in time", maybeSent: true });
  assert.equal(waiting.state, "pending");
});

test("nor is it with a connection that stays", async () => {
  const { room, socket } = await inRoom();
  const place = fate(room.publish("hi"));
  const [message] = socket.take();
  for (let n = 0; n < 26; n += 1) {
    await bench.pass(10_000);
    for (const each of socket.take()) {
      assert.deepEqual(each, message);
      socket.refuse(each, "try again");
    }
  }
  assert.deepEqual(place, { state: "rejected", error: "no answer in time", maybeSent: true });
});

test("in another epoch what may have been sent is not sent again", async () => {
  const { room } = await inRoom();
  const sent = fate(room.publish("sent"));
  bench.socket.end();
  const waiting = fate(room.publish("not yet"));
  await bench.pass(250);
  const socket = await bench.open();
  socket.answer(socket.take()[0], success({ epoch: "f", offset: 0, resumed: false, messages: [] }));
  assert.deepEqual(socket.take().map((each) => each.data), ["not yet"]);
  await settle();
  assert.deepEqual(sent, { state: "rejected", error: "the room was reset", maybeSent: true });
  assert.equal(waiting.state, "pending");
});

test("what JSON cannot hold is rejected, and is nobody else's trouble", async () => {
  const { room, socket } = await inRoom();
  await assert.rejects(room.publish(1n), TypeError);
  const circle = {};
  circle.circle = circle;
  await assert.rejects(room.publish(circle), TypeError);
  room.publish(undefined);
  assert.deepEqual(socket.take().map((each) => each.data), [null]);
});

test("what waits has a limit", async () => {
  bench.connect();
  const { room } = watched();
  const fates = Array.from({ length: 10_001 }, (_, n) => fate(room.publish(n)));
  await settle();
  assert.equal(fates.filter((each) => each.state == "pending").length, 10_000);
  assert.match(fates[10_000].error, /too much waits/);
  const socket = await bench.open();
  socket.answer(socket.take()[0], success());
  for (const each of socket.take()) socket.answer(each, {});
  await settle();
  assert.equal(fates[9_999].state, "resolved");
  assert.equal(fate(room.publish(1)).state, "pending");
});

// Presence.

const member = (id, user = id, info = null) => ({ id, user, info });
const change = (version, joined, left) => ({ type: "presence", room: "lobby", data: { version, joined, left } });

test("presence is followed by its versions", async () => {
  const { room, log, socket } = await inRoom({ presence: true }, { presence: { version: 3, members: [member("a")] } });
  socket.say(change(4, [member("b"), member("c", "b")], []));
  socket.say(change(5, [member("b", "b", { at: 1 })], [member("a")]));
  socket.say(change(5, [member("x")], [])); // it came already
  assert.deepEqual(log, ["a,b,c 3/2", "c,b 2/1"]);
  assert.deepEqual(room.members.at(-1), member("b", "b", { at: 1 }));
  socket.say(change(7, [member("d")], []));
  const [{ id, ...asked }] = socket.take();
  assert.deepEqual(asked, { type: "presence", room: "lobby" });
  socket.answer({ id }, { type: "presence", room: "lobby", version: 7, members: [member("d")] });
  assert.equal(log.at(-1), "d 1/1");
});

test("of a large room there are numbers", async () => {
  const { log, socket } = await inRoom({ presence: true });
  const next = await bench.again();
  next.answer(next.take()[0], success({ epoch: "e", offset: 5, resumed: true, messages: [], presence: { version: 1, clients: 2_000, users: 1_500 } }));
  next.say({ type: "presence", room: "lobby", data: { version: 2, clients: 2_001, users: 1_500 } });
  assert.deepEqual(log, [" 2000/1500", "resumed 0", "joined", " 2001/1500"]);
  assert.equal(socket.closedWith, null);
});

// Reading what is kept.

test("history reads what the room keeps", async () => {
  const { room, log, socket } = await inRoom();
  const found = fate(room.history({ limit: 2, before: 5 }));
  const [{ id, ...asked }] = socket.take();
  assert.deepEqual(asked, { type: "history", room: "lobby", limit: 2, before: 5 });
  socket.answer({ id }, { messages: [M(3), M(4)], epoch: "e", offset: 5 });
  await settle();
  assert.deepEqual(found.value.map((each) => [each.data, each.meta.offset]), [[3, 3], [4, 4]]);
  assert.deepEqual(log, []);
  const lost = fate(room.history());
  socket.end();
  await settle();
  assert.deepEqual(lost, { state: "rejected", error: "connection lost", maybeSent: false });
});

test("a handler that throws stops no other, nor the room", async () => {
  const { room, log, socket } = await inRoom();
  const thrown = new Promise((resolve) => {
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", (error) => {
      for (const each of listeners) process.on("uncaughtException", each);
      resolve(error.message);
    });
  });
  const off = room.on("message", () => {
    throw new Error("a mistake");
  });
  const last = room.on("message", (data) => log.push(`then ${data}`));
  socket.say(M(6));
  assert.equal(await thrown, "a mistake");
  off();
  last();
  socket.say(M(7));
  assert.deepEqual(log, [6, "then 6", 7]);
});
