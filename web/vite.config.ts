import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { earlyTheme } from "./plugins/early-theme.ts";

// Paths are relative and index.html carries <base href="/">: a server behind a prefix rewrites that one tag.
export default defineConfig({
  base: "./",
  plugins: [react(), earlyTheme()],
  build: {
    outDir: "../src/homeostat/web",
    emptyOutDir: true,
    assetsInlineLimit: 0, // a data: font would need a wider Content-Security-Policy
    target: "es2022",
    manifest: "manifest.json",
    modulePreload: { polyfill: false }, // the polyfill is an inline-ish fetch loop no supported browser needs
  },
  server: {
    proxy: { "/api": { target: process.env.HOMEOSTAT_URL ?? "http://127.0.0.1:5000", changeOrigin: true } },
  },
  test: { include: ["tests/**/*.test.ts"] },
});
