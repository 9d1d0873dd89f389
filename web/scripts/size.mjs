// The first view (HTML, scripts and styles of the Loop page) stays within 130 KB of brotli, its fonts within 70 KB.
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const KB = 1024;
const LIMITS = { first: 130 * KB, fonts: 70 * KB, whole: 350 * KB };
const out = fileURLToPath(new URL("../../src/homeostat/web", import.meta.url));
if (!existsSync(join(out, "manifest.json"))) {
  console.error("no build found: run `npm run build` first");
  process.exit(1);
}
const manifest = JSON.parse(readFileSync(join(out, "manifest.json"), "utf8"));
const size = (file) => statSync(join(out, existsSync(join(out, `${file}.br`)) ? `${file}.br` : file)).size;

function closure(key, seen = new Set()) {
  const chunk = manifest[key];
  if (!chunk || seen.has(key)) return seen;
  seen.add(key);
  for (const next of chunk.imports ?? []) closure(next, seen);
  return seen;
}
const keys = closure("index.html");
const html = readFileSync(join(out, "index.html"), "utf8");
const files = new Set(["index.html", ...[...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+)"/g)].map((found) => found[1])]);
for (const key of keys) {
  files.add(manifest[key].file);
  for (const css of manifest[key].css ?? []) files.add(css);
}
const sum = (names) => [...names].reduce((total, name) => total + size(name), 0);
const every = readdirSync(out, { recursive: true }).map(String);
const fonts = every.filter((name) => name.endsWith(".woff2"));
const code = every.filter((name) => /\.(js|css|html)$/.test(name));

const lines = [
  ["first view", sum(files), LIMITS.first],
  ["fonts", sum(fonts), LIMITS.fonts],
  ["every page", sum(code), LIMITS.whole],
];
for (const [name, bytes, limit] of lines) {
  console.log(`${name.padEnd(12)} ${(bytes / KB).toFixed(1).padStart(7)} KB of ${limit / KB} KB`);
}
if (lines.some(([, bytes, limit]) => bytes > limit)) {
  console.error("too heavy: find what grew with `npx vite build --mode analyse`, or load it on demand");
  process.exit(1);
}
