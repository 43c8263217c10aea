/** Judges the AsyncAPI document on the standard input; says what is wrong with it. */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(new URL("../browser/node_modules/", import.meta.url));
const { Parser } = require("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const errors = diagnostics.filter(({ severity }) => severity === 0);
console.log(JSON.stringify({ isRead: document !== undefined, errors: errors.map(({ message }) => message) }));
