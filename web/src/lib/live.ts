// One stream of server-sent events per visible tab; events say what changed, the pages ask again.
import { useSyncExternalStore } from "react";
import { basePath } from "./api";
import { invalidate } from "./query";
import type { WorkspaceEvent } from "./records";

/** How a loop stands; and that with its past. A decision's explanation never changes, so it is not asked again. */
const STANDING = ["loop/status", "loop/list_models"] as const;
const LOOP = [...STANDING, "loop/decisions", "loop/quality_history"] as const;

/** Which verbs each event makes stale. */
export const STALE: Record<string, readonly string[]> = {
  run_started: ["tracking/", "pipelines/"],
  run_finished: ["tracking/", "pipelines/", "lineage/"],
  run_metrics: ["tracking/"],
  table_written: ["data/", "lineage/", ...STANDING],
  tree_written: ["data/", "lineage/"],
  check_failed: ["data/", ...STANDING],
  version_registered: ["registry/", "lineage/", "explain/", ...STANDING],
  alias_moved: ["registry/", ...LOOP],
  alias_requested: ["registry/"],
  model_created: ["registry/"],
  model_changed: ["registry/", ...LOOP],
  model_tagged: ["registry/"],
  gates_recorded: ["registry/", ...STANDING],
  deployment_changed: ["serving/", ...LOOP],
  labels_recorded: LOOP,
  variable_changed: LOOP,
  decision_made: LOOP,
  notification_failed: ["notify/"],
  resync: ["loop/", "tracking/", "pipelines/", "registry/", "serving/", "data/", "lineage/", "explain/"],
};
/** Events that come together are answered together, and a storm of them once a second. */
const COALESCE_MS = 250;
const APART_MS = 1000;
const HIDDEN_MS = 30_000;

export type Link = "connecting" | "live" | "lost";
let link: Link = "connecting";
const watchers = new Set<() => void>();
let source: EventSource | undefined;
let lastId = 0;
let pending = new Set<string>();
let flushTimer: number | undefined;
let flushed = -Infinity;
let hiddenTimer: number | undefined;

function setLink(next: Link): void {
  if (next === link) return;
  link = next;
  for (const watcher of watchers) watcher();
}

function flush(): void {
  flushTimer = undefined;
  flushed = performance.now();
  const prefixes = [...pending];
  pending = new Set();
  if (prefixes.length > 0) invalidate(prefixes);
}

function receive(message: MessageEvent<string>): void {
  const event = JSON.parse(message.data) as WorkspaceEvent;
  if (event.id > lastId) lastId = event.id;
  for (const prefix of STALE[event.name] ?? STALE.resync ?? []) pending.add(prefix);
  flushTimer ??= window.setTimeout(flush, Math.max(COALESCE_MS, flushed + APART_MS - performance.now()));
}

function open(): void {
  source?.close();
  source = new EventSource(`${basePath}api/v1/events${lastId > 0 ? `?after=${lastId}` : ""}`);
  for (const name of Object.keys(STALE)) source.addEventListener(name, receive as (event: Event) => void);
  source.onmessage = receive;
  source.onopen = () => {
    // What happened while the line was down is unknown: ask for everything shown again.
    if (link === "lost") invalidate(STALE.resync ?? []);
    setLink("live");
  };
  source.onerror = () => {
    setLink("lost");
    // The browser retries by itself unless the answer was final; then we do.
    if (source?.readyState === EventSource.CLOSED) window.setTimeout(open, 3000 + Math.random() * 2000);
  };
}

/** Opens the stream and keeps it while the tab is looked at: browsers allow six connections per host. */
export function startLive(): void {
  open();
  document.addEventListener("visibilitychange", () => {
    window.clearTimeout(hiddenTimer);
    if (document.hidden) {
      hiddenTimer = window.setTimeout(() => {
        source?.close();
        source = undefined;
      }, HIDDEN_MS);
    } else if (source === undefined) {
      link = "lost";
      open();
    }
  });
}

/** Whether the page hears the server. */
export function useLink(): Link {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => link,
  );
}
