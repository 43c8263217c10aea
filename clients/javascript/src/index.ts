/** The client library of glyph-fast. */
import { Client } from "./server.js";
import type { AnyEvents, Options, Server } from "./types.js";

/** Connect to a server, now and whenever the connection is lost.
 *
 * In a browser `url` may be a path. `Events` are the types of the program's events and calls. */
export function connect<Events extends object = AnyEvents>(
  url: string | URL,
  options: Options = {},
): Server<Events> {
  const full = new URL(url, globalThis.location?.href);
  full.protocol = full.protocol.replace("http", "ws");
  return new Client(full.href, options) as Server<any>;
}

export { GlyphError } from "./types.js";
export type * from "./types.js";
