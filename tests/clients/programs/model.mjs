/** Publishes, calls and listens in three rooms while the test cuts every connection; then tells all.
 *
 * `node model.mjs LIBRARY URL SEED PUBLISHES [SECRET]`; with a secret of tokens, these end soon. */
import { createHmac } from "node:crypto";
import { args, assert, connect, joined, over, tell, told, until } from "./talk.mjs";

const [url, seed, publishes, secret] = args;
const ROOMS = ["chat:a", "chat:b", "chat:c"];
const WRITERS = 3;

// mulberry32, so that a seed is a run
let state = Number(seed);
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

Math.random = () => 0.01; // what the library draws its pauses by: nobody here waits for seconds

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const report = { heard: {}, published: [], rejected: [], resets: 0, calls: [], failed: [], asked: 0, states: {} };

// Of tokens. While connections are cut they end soon, be they renewed in time or not; afterwards all
// clients have to be there at once, also on a machine that takes a second for it.
let lifetime = 2;

function token(user) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: user, exp: now + lifetime, ...(random() < 0.5 && { iat: now }) };
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

const clients = Array.from({ length: WRITERS }, (_, n) => {
  const server = connect(url, secret ? { token: async () => token(`writer ${n}`) } : {});
  server.on("state", (name) => (report.states[name] = (report.states[name] ?? 0) + 1));
  server.on("confirm", ({ question }) => {
    report.asked += 1;
    return question + 1;
  });
  const rooms = ROOMS.map((name) => {
    const room = server.join(name, { presence: true });
    const heard = (report.heard[`${n} ${name}`] = []);
    room.on("message", (data, meta) => heard.push([meta.offset, data]));
    room.on("reset", () => (report.resets += 1));
    return room;
  });
  return { server, rooms, n };
});

// Whoever is not there yet is told nothing of what was before.
await Promise.all(clients.flatMap(({ rooms }) => rooms.map(joined)));
tell("ready");

/** What did not come in time, and how everything stands. */
function explain(error) {
  const stands = clients.map(({ server, rooms }) => {
    const places = rooms.map((room) => [room.isJoined, room.position, present(room)]);
    return [server.id, server.state, server.why, ...places];
  });
  throw new Error(`${error.message}\n${stands.map((each) => JSON.stringify(each)).join("\n")}`);
}

async function write({ server, rooms, n }) {
  const waiting = [];
  for (let count = 0; count < Number(publishes); count += 1) {
    const room = rooms[Math.floor(random() * rooms.length)];
    const data = `${n}.${count}`;
    const sent = room.publish(data).then(
      (place) => report.published.push([room.name, place.offset, data]),
      (error) => report.rejected.push([room.name, data, error.message, error.maybeSent]),
    );
    waiting.push(sent);
    if (random() < 0.5) await sent;
    if (random() < 0.2) {
      const value = n * 1_000_000 + count;
      const event = random() < 0.5 ? "count" : "ask back";
      waiting.push(
        server.call(event, value, { timeout: 30_000 }).then(
          (answer) => report.calls.push([event, value, answer]),
          (error) => report.failed.push([event, value, error.message, error.maybeSent]),
        ),
      );
    }
    if (random() < 0.3) await pause(random() * 30);
  }
  await Promise.all(waiting);
}

await Promise.all(clients.map(write));
tell("written");
assert.equal(await told(), "calm"); // no more cuts
lifetime = 60;
const last = Object.fromEntries(ROOMS.map((name) => [name, 0]));
for (const [name, offset] of report.published) last[name] = Math.max(last[name], offset);
const isHeard = (room) => room.isJoined && room.position.offset >= last[room.name];
await until(() => clients.every(({ rooms }) => rooms.every(isHeard)), "all is heard").catch(explain);
const ids = () => clients.map(({ server }) => server.id).sort();
const present = (room) => room.members.map(({ id }) => id).sort();
// Not by number: a connection that was cut may be counted in the place of the one after it.
const gathered = () => clients.every(({ rooms }) => rooms.every((room) => `${present(room)}` == `${ids()}`));
await until(gathered, "presence ends right").catch(explain);
report.members = clients.map(({ rooms }) => rooms.map(present));
report.ids = ids();
tell(report);
over(...clients.map(({ server }) => server));
