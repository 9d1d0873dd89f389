// Emits src/theme.js under a hashed name and loads it before the first paint. It cannot be part of the main bundle:
// module scripts run after parsing, and by then the wrong theme would have been painted.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const FILE = fileURLToPath(new URL("../src/theme.js", import.meta.url));

export function earlyTheme(): Plugin {
  let building = false;
  let reference = "";
  return {
    name: "early-theme",
    configResolved(config) {
      building = config.command === "build";
    },
    buildStart() {
      if (building) reference = this.emitFile({ type: "asset", name: "theme.js", source: readFileSync(FILE, "utf8") });
    },
    transformIndexHtml: {
      order: "post",
      handler(html, context) {
        const emitted = Object.keys(context.bundle ?? {}).find((name) => /theme-[\w-]+\.js$/.test(name));
        const src = reference && emitted ? `./${emitted}` : "/src/theme.js";
        return html.replace("<!-- theme -->", `<script src="${src}"></script>`);
      },
    },
  };
}
