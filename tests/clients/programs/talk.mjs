/** What the programs here share: the library that is served, and a line to the test that runs them.
 *
 *     node PROGRAM.mjs PATH-OF-THE-LIBRARY URL [more]
 */
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [library, ...given] = process.argv.slice(2);
export const { connect, GlyphError } = await import(pathToFileURL(library).href);
export const args = given;
export { assert };

const WITHIN = 60_000;

process.on("unhandledRejection", (reason) => {
  console.error("unhandled rejection", reason);
  process.exit(1);
});

/** Wait until `claim` holds. */
export async function until(claim, what = String(claim)) {
  const end = Date.now() + WITHIN;
  while (!claim()) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const opened = (server) => until(() => server.state == "open", "open");
export const joined = (room) => until(() => room.isJoined, `joined ${room.name}`);

/** Tell the test something. */
export const tell = (value) => console.log(JSON.stringify(value));

let lines;
/** What the test says next. */
export async function told() {
  lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  return (await lines.next()).value;
}

/** The end: nothing may hold the process. */
export function over(...servers) {
  for (const server of servers) server.close();
  process.stdin.pause();
  process.stdin.unref?.();
  console.log("over");
}
