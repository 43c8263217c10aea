/** Build the library: a module and a classic script for servers and for npm, and its types.
 *
 *     node build.mjs            dist/, and what the Python package hands out
 *     node build.mjs --check    fail unless that is what the source gives
 *
 * The same source gives the same bytes, so what is handed out can lie in the tree. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";

const MOST = 5 * 1024; // bytes, compressed
const SERVED = "../../glyph_fast/javascript";

process.chdir(import.meta.dirname);
const { version } = JSON.parse(readFileSync("package.json", "utf8"));

function bundle(entry, format) {
  const { outputFiles } = buildSync({
    absWorkingDir: import.meta.dirname,
    entryPoints: [`src/${entry}.ts`],
    bundle: true,
    write: false,
    format,
    minify: true,
    // What has an underscore, and members of what never leaves the library.
    mangleProps: /^(_.*|isAsked|sentAt|isCall|until|done|text|timer|pause)$/,
    target: "es2022",
    charset: "utf8",
    banner: { js: `/*! glyph-fast ${version}, MIT */` },
  });
  return outputFiles[0].contents;
}

const built = { "glyph-fast.mjs": bundle("index", "esm"), "glyph-fast.js": bundle("classic", "iife") };
for (const [name, contents] of Object.entries(built)) {
  const size = gzipSync(contents, { level: 9 }).length;
  console.log(`${name}: ${contents.length} bytes, ${size} compressed`);
  if (size > MOST) throw new Error(`${name} has ${size} bytes compressed, at most ${MOST} expected`);
}

if (process.argv.includes("--check")) {
  for (const [name, contents] of Object.entries(built)) {
    if (readFileSync(`${SERVED}/${name}`).equals(Buffer.from(contents))) continue;
    throw new Error(`glyph_fast/javascript/${name} is not what the source gives: node build.mjs`);
  }
  process.exit();
}

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc"], { stdio: "inherit" });
for (const name of ["index.d.ts", "types.d.ts"]) copyFileSync(`build/${name}`, `dist/${name}`);
rmSync("build", { recursive: true });
for (const [name, contents] of Object.entries(built)) {
  writeFileSync(`dist/${name}`, contents);
  mkdirSync(SERVED, { recursive: true });
  writeFileSync(`${SERVED}/${name}`, contents);
}
