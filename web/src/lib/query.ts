// A small cache of verb results: one request per address, kept while shown, refetched when an event says so.
import { useCallback, useSyncExternalStore } from "react";
import { address, ApiError, get, type Args, type Result, type Verb } from "./api";

export interface Query<T> {
  /** The newest result; stays while a newer one is fetched. */
  data: T | undefined;
  error: ApiError | undefined;
  /** True while there is neither a result nor an error. */
  pending: boolean;
}
interface Entry {
  verb: Verb;
  args: Record<string, unknown>;
  state: Query<unknown>;
  /** Done when the answer that is awaited has come, and the newer one that was wanted meanwhile. */
  loading: Promise<void> | null;
  again: boolean;
  watchers: Set<() => void>;
}

const NOTHING: Query<never> = { data: undefined, error: undefined, pending: false };
const entries = new Map<string, Entry>();
const KEPT = 200;

/** Asks for it; what is wanted while an answer is awaited is asked once more, so that none is older than its question. */
function load(entry: Entry): Promise<void> {
  entry.again = entry.loading !== null;
  entry.loading ??= loaded(entry);
  return entry.loading;
}

async function loaded(entry: Entry): Promise<void> {
  do {
    entry.again = false;
    try {
      const data = await get(entry.verb, entry.args as never);
      entry.state = { data, error: undefined, pending: false };
    } catch (error) {
      const known = error instanceof ApiError ? error : new ApiError("unexpected", String(error), "", 0);
      entry.state = { data: entry.state.data, error: known, pending: false };
    }
    for (const watcher of entry.watchers) watcher();
  } while (entry.again);
  entry.loading = null;
}

function entryOf(verb: Verb, args: Record<string, unknown>): Entry {
  const key = address(verb, args);
  let entry = entries.get(key);
  if (entry === undefined) {
    const state = { data: undefined, error: undefined, pending: true };
    entry = { verb, args, state, loading: null, again: false, watchers: new Set() };
    entries.set(key, entry);
    if (entries.size > KEPT) forgetOldest();
  }
  return entry;
}

function forgetOldest(): void {
  for (const [key, entry] of entries) {
    if (entry.watchers.size === 0 && entry.loading === null) {
      entries.delete(key);
      if (entries.size <= KEPT) return;
    }
  }
}

/** The result of a verb, kept up to date. `null` arguments mean "not yet": nothing is asked. */
export function useVerb<V extends Verb>(verb: V, args: Args<V> | null): Query<Result<V>> {
  const key = args === null ? null : address(verb, args);
  // The address says all of verb and arguments, so it alone decides when to subscribe anew.
  const subscribe = useCallback(
    (watcher: () => void) => {
      if (args === null) return () => undefined;
      const entry = entryOf(verb, args);
      entry.watchers.add(watcher);
      if (entry.state.pending && entry.loading === null) void load(entry);
      return () => entry.watchers.delete(watcher);
    },
    [key],
  );
  const snapshot = () => (args === null ? NOTHING : entryOf(verb, args).state);
  return useSyncExternalStore(subscribe, snapshot) as Query<Result<V>>;
}

/** Asks again for everything shown whose path starts with one of these; forgets what is not shown. */
export function invalidate(prefixes: readonly string[]): void {
  for (const [key, entry] of entries) {
    if (!prefixes.some((prefix) => entry.verb.startsWith(prefix))) continue;
    if (entry.watchers.size > 0) void load(entry);
    else entries.delete(key);
  }
}

/** Done when what is awaited of these paths has come: who changed something says so beside what it has become. */
export async function arrived(prefixes: readonly string[]): Promise<void> {
  const asked = [...entries.values()].filter((entry) => prefixes.some((prefix) => entry.verb.startsWith(prefix)));
  await Promise.all(asked.map((entry) => entry.loading));
}

/** A one-off read through the cache, for rows and the palette. */
export async function fetchOnce<V extends Verb>(verb: V, args: Args<V>): Promise<Result<V>> {
  const entry = entryOf(verb, args);
  if (entry.state.data === undefined) {
    const data = await get(verb, args);
    // What was asked for meanwhile, and has come, is newer.
    if (entry.state.data === undefined) entry.state = { data, error: undefined, pending: false };
  }
  return entry.state.data as Result<V>;
}
