// After the build: licence texts of what is shipped, then a .br and a .gz beside every asset,
// so that the server sends compressed bytes without compressing anything.
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const web = fileURLToPath(new URL("..", import.meta.url));
const out = join(web, "../src/homeostat/web");
const shipped = ["react", "react-dom", "scheduler", "@fontsource-variable/inter", "@fontsource/jetbrains-mono"];
const licences = shipped.map((name) => {
  const text = readFileSync(join(web, "node_modules", name, "LICENSE"), "utf8").trim();
  return `${name}\n${"=".repeat(name.length)}\n\n${text}\n`;
});
writeFileSync(join(out, "licenses.txt"), licences.join("\n\n"));

const compressible = /\.(js|css|html|svg|json|txt)$/;
for (const entry of readdirSync(out, { recursive: true })) {
  const path = join(out, String(entry));
  if (!compressible.test(path) || !statSync(path).isFile()) continue;
  const bytes = readFileSync(path);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }));
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
}
