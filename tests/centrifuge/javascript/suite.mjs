// Cases against a server, one after the other: each prints a line of JSON when it is over.
//
// The environment names the server: WS, HTTP and SECURED are URLs (the last is of a server that wants
// tokens, signed with SECRET), API is the operators' port and KEY its token.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import * as overJson from "centrifuge";
import * as overProtobuf from "centrifuge/build/protobuf";
import { EventSource } from "eventsource";
import WebSocket from "ws";

const CASE_MS = 20_000;
const EVENT_MS = 8_000;
const { API, KEY, SECRET } = process.env;
const cases = [];
let made = [];
let channels = 0;

export const ENDPOINTS = {
  websocket: "/connection/websocket",
  http_stream: "/connection/http_stream",
  sse: "/connection/sse",
};

export function test(name, run) {
  cases.push({ name, run });
}

export async function runAll() {
  // Of calls that end with their client, and of events that a case which failed waited for.
  process.on("unhandledRejection", () => {});
  for (const { name, run } of cases) {
    let error = null;
    try {
      await within(run(), CASE_MS, "the case");
    } catch (caught) {
      error = caught?.stack ?? JSON.stringify(caught);
    }
    for (const client of made) client.disconnect();
    made = [];
    console.log(JSON.stringify({ name, error }));
  }
  process.exit(0); // what a failed case left open must not hold it up
}

// Each of its builds has classes of its own.
export function library(protobuf) {
  return protobuf ? overProtobuf : overJson;
}

// A client of the library for a transport. `where` is the name of a URL in the environment.
export function connectTo(transport, options = {}, { where = "HTTP", protobuf = false } = {}) {
  const base = process.env[where];
  const url = transport === "websocket" ? base.replace("http", "ws") : base;
  const { Centrifuge } = library(protobuf);
  const client = new Centrifuge([{ transport, endpoint: url + ENDPOINTS[transport] }], {
    websocket: WebSocket,
    eventsource: EventSource,
    emulationEndpoint: `${base}/emulation`,
    ...options,
  });
  made.push(client);
  return client;
}

export async function connected(client) {
  client.connect();
  await client.ready(EVENT_MS);
  assert.equal(client.state, "connected");
  return client;
}

export async function subscribed(subscription) {
  subscription.subscribe();
  await subscription.ready(EVENT_MS);
  assert.equal(subscription.state, "subscribed");
  return subscription;
}

// The next event of a name, or the first that fits.
export function next(emitter, name, fits = () => true) {
  return many(emitter, name, 1, fits).then(([first]) => first);
}

export function many(emitter, name, count, fits = () => true) {
  const found = [];
  const all = new Promise((resolve) => {
    emitter.on(name, function heard(context) {
      if (found.length < count && fits(context)) found.push(context);
      if (found.length === count) resolve(found);
    });
  });
  return within(all, EVENT_MS, `${count} of '${name}'`);
}

export function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function eventually(ask, fits) {
  const end = Date.now() + EVENT_MS;
  for (;;) {
    const found = await ask();
    if (fits(found)) return found;
    assert.ok(Date.now() < end, `it did not come to be: ${JSON.stringify(found)}`);
    await pause(50);
  }
}

export function channel(name) {
  channels += 1;
  return `${name}_${process.pid}_${channels}`;
}

export async function api(command, body) {
  const answer = await fetch(`${API}/api/${command}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-API-Key": KEY },
    body: JSON.stringify(body),
  });
  const { result, error } = await answer.json();
  assert.equal(error, undefined);
  return result;
}

export function publish(channel, data) {
  return api("publish", { channel, data });
}

// A JSON Web Token (RFC 7519) as a backend would sign it.
export function token(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}
