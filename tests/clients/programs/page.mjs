/** What docs/clients.md shows in JavaScript, run against a real server.
 *
 * `node page.mjs LIBRARY URL PAGE ESBUILD`; for React, Vue and Svelte there are stand-ins. */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { args, assert, connect, joined, opened, over, until } from "./talk.mjs";

const [url, page, esbuild] = args;
const { transformSync } = await import(pathToFileURL(esbuild).href);
const text = readFileSync(page, "utf8");
const block = (language) => text.match(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "ms"))[1];
const AsyncFunction = (async () => {}).constructor;

/** Run source with these names known. */
const run = (source, names) => new AsyncFunction(...Object.keys(names), source)(...Object.values(names));

const other = connect(url);
const there = other.join("chat:1");
await Promise.all([opened(other), joined(there)]);
for (const each of ["one", "two", "three"]) await there.publish({ text: each });

// What there is.
globalThis.location = { href: url.replace("ws", "http") };
const shown = [];
const drawn = [];
await run(`${block("js").replace("server.close();", "")}; done(server, price, older);`, {
  connect,
  fetchToken: () => null,
  show: (...given) => shown.push(given),
  ask: () => true,
  draw: (members) => drawn.push(members),
  symbol: "A",
  text: "from the page",
  oldest: 3,
  done: async (server, price, older) => {
    assert.equal(price, 7);
    assert.deepEqual(older.map(({ data }) => data.text), ["one", "two"]);
    server.close();
  },
});
assert.ok(shown.some(([data]) => data?.text == "three"));
assert.equal(drawn.at(-1).length, 2);

// React, Vue, Svelte: a component comes, hears, goes.
const server = connect(url);
await opened(server);

/** `begin` runs the component and returns what ends it; `heard` is what it shows. */
async function lives(name, begin, heard) {
  const shows = (text) => heard().some((each) => each.text == text);
  const end = await begin();
  await there.publish({ text: `to ${name}` });
  await until(() => shows(`to ${name}`) && shows("one"), `${name} shows messages`);
  end();
  await there.publish({ text: `behind ${name}` });
  assert.equal(await server.call("double", 1), 2); // by then it would have come
  assert.ok(!shows(`behind ${name}`));
}

const { code } = transformSync(block("jsx"), { loader: "jsx", jsxFactory: "h" });
const react = { list: [] };
const hooks = {
  h: () => null,
  useReducer: (reduce, first) => [first, (each) => (react.list = reduce(react.list, each))],
  useEffect: (effect) => (react.end = effect()),
};
await lives(
  "React",
  async () => {
    await run(`${code}; Chat({ name: "chat:1" });`, { server, ...hooks });
    return react.end;
  },
  () => react.list,
);

const script = (language) => block(language).match(/<script[^>]*>[^\n]*\n(.*)<\/script>/s)[1];
const vue = {};
await lives(
  "Vue",
  async () => {
    const names = { ref: (value) => (vue.ref = { value }), onUnmounted: (end) => (vue.end = end) };
    await run(script("vue"), { server, ...names });
    return vue.end;
  },
  () => vue.ref.value,
);
const svelte = {};
await lives(
  "Svelte",
  async () => {
    const names = { $state: (value) => (svelte.list = value), onDestroy: (end) => (svelte.end = end) };
    await run(script("svelte"), { server, ...names });
    return svelte.end;
  },
  () => svelte.list,
);
over(server, other);
