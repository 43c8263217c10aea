/** A server that means harm: nothing is thrown, nobody waits for ever, and it is come back to with pauses. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Bench, fate, settle } from "./fake.mjs";

const VALUES = [
  ...[undefined, null, true, false, 0, 7, -1, 1.5, 1e300, "x", "", [], [1], [null], [[]], {}, { a: 1 }, [{}]],
  ...[[{ offset: "x" }], [{ offset: 3 }], [{ id: 1 }], [{ type: "binary", data: "***" }], { epoch: "e", offset: 5 }],
];
const PLACES = [{}, { epoch: "e", offset: 5 }, { epoch: "f", offset: 1 }, { epoch: "e", offset: true }];
const MEMBERS = "messages presence resumed lost more members version clients users joined left".split(" ");
const SHAPES = [...VALUES];
for (const place of PLACES) {
  for (const name of MEMBERS) for (const value of VALUES) SHAPES.push({ ...place, [name]: value });
}

let bench;

beforeEach(() => (bench = new Bench()));
afterEach(() => bench.end());

/** The socket that is open, which may be another one by now. */
async function open() {
  if (bench.socket.readyState == 1) return bench.socket;
  await bench.pass(30_000);
  return bench.open();
}

/** Answer whatever was asked by the same, and what is asked for then. */
function answerAll(socket, data) {
  for (let times = 0; times < 3; times += 1) for (const question of socket.take()) socket.answer(question, data);
}

test("an answer of any shape joins a room, or the connection is lost", async () => {
  const server = bench.connect();
  await bench.open();
  for (const data of SHAPES) {
    const room = server.join("r", { history: 3, presence: true });
    answerAll(await open(), data);
    (await open()).say({ type: "presence", room: "r", data });
    (await open()).say({ type: "room_reset", room: "r", data });
    answerAll(await open(), data);
    room.leave();
    (await open()).take();
  }
  assert.ok(["open", "waiting"].includes(server.state));
});

test("an answer of any shape fills a gap, or the connection is lost", async () => {
  const server = bench.connect();
  await bench.open();
  for (const data of SHAPES) {
    const room = server.join("r", { history: 3 });
    let socket = await open();
    socket.answer(socket.take().at(-1), { epoch: "e", offset: 1 });
    for (const offset of [5, true, 1e300, -4, 0, 1.5, "7"]) {
      socket = await open();
      socket.say({ type: "json", room: "r", data: 1, offset });
      answerAll(socket, data);
    }
    room.leave();
    (await open()).take();
  }
});

test("what is asked for is answered or rejected, whatever the answer", async () => {
  const server = bench.connect();
  const room = server.join("r");
  for (const data of SHAPES.slice(0, 60)) {
    await settle();
    if (bench.socket.readyState == 0) await bench.open();
    let socket = await open();
    for (const question of socket.take()) socket.answer(question, { epoch: "e", offset: 1 });
    const fates = [room.history(), room.publish(1), server.call("x")].map(fate);
    for (const question of socket.take()) (await open()).answer(question, data);
    await settle();
    socket = await open();
    for (const question of socket.take()) socket.answer(question, { epoch: "e", offset: 1 });
    await settle();
    for (const question of socket.take()) socket.answer(question, { epoch: "e", offset: 1 });
    await settle();
    assert.deepEqual(fates.map((each) => each.state).filter((each) => each == "pending"), [], JSON.stringify(data));
  }
});

test("an answer that is none is a lost connection, to come back from after a pause", async () => {
  const server = bench.connect();
  const room = server.join("r");
  let socket = await bench.open();
  socket.answer(socket.take()[0], {});
  const published = fate(room.publish("kept"));
  socket.answer(socket.take()[0], null);
  assert.deepEqual([server.state, server.why.code], ["waiting", 1006]);
  await bench.pass(30_000);
  socket = await bench.open();
  socket.answer(socket.take()[0], {});
  socket.answer(socket.take()[0], { epoch: "e", offset: 2 });
  await settle();
  assert.deepEqual(published.value, { epoch: "e", offset: 2 });
});

test("calls of a server that reads no answers are answered no more, and the program may still speak", async () => {
  const server = bench.connect();
  server.on("ask", () => "x");
  const socket = await bench.open();
  socket.bufferedAmount = 1e8;
  socket.say({ type: "json", event: "ask", id: "1" });
  await settle();
  assert.deepEqual(socket.take(), [{ type: "reply", id: "1", data: "x" }]);
  socket.bufferedAmount += 1;
  for (let id = 2; id < 100; id += 1) socket.say({ type: "json", event: "ask", id: String(id) });
  await settle();
  assert.deepEqual(socket.take(), []);
  assert.equal(server.send({ of: "the program" }), true);
  assert.deepEqual(socket.take(), [{ of: "the program" }]);
});
