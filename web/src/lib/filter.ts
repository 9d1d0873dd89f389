// The filter box of the runs table: words, `key:value` and `metric > number`, all of which must hold.
import type { Run } from "./records";

type Test = (run: Run) => boolean;
const COMPARE: Record<string, (a: number, b: number) => boolean> = {
  ">=": (a, b) => a >= b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  "<": (a, b) => a < b,
  "=": (a, b) => a === b,
  "!=": (a, b) => a !== b,
};

function field(run: Run, key: string): string | undefined {
  if (key === "status" || key === "kind" || key === "experiment" || key === "name" || key === "id") return run[key];
  const metric = run.metrics[key];
  return run.params[key] ?? run.tags[key] ?? (metric === undefined || metric === null ? undefined : String(metric));
}

function haystack(run: Run): string {
  const pairs = [...Object.entries(run.params), ...Object.entries(run.tags)].map(([key, value]) => `${key}=${value}`);
  return [run.name, run.id, run.status, run.experiment, run.source ?? "", ...pairs].join("\n").toLowerCase();
}

function toTest(term: string): Test {
  const compared = /^([\w.@/-]+)(>=|<=|!=|>|<|=)(.+)$/.exec(term);
  if (compared) {
    const [, key = "", sign = "=", text = ""] = compared;
    const wanted = Number(text);
    return (run) => {
      const value = field(run, key);
      if (value === undefined) return false;
      if (!Number.isNaN(wanted) && !Number.isNaN(Number(value))) return COMPARE[sign]?.(Number(value), wanted) ?? false;
      return sign === "!=" ? value !== text : value === text;
    };
  }
  const named = /^([\w.@/-]+):(.+)$/.exec(term);
  if (named) {
    const [, key = "", text = ""] = named;
    return (run) => field(run, key)?.toLowerCase().includes(text.toLowerCase()) ?? false;
  }
  const word = term.toLowerCase();
  return (run) => haystack(run).includes(word);
}

/** A test for a run from what was typed: `auc>0.75 status:finished amber`. An empty text lets all pass. */
export function runFilter(text: string): Test {
  const joined = text.replace(/\s*(>=|<=|!=|>|<|=)\s*/g, "$1");
  const tests = joined.split(/\s+/).filter(Boolean).map(toTest);
  return (run) => tests.every((test) => test(run));
}

/** Sorts by a column: "start", "duration", "name", "status", "m:auc", "p:lr"; a leading "-" turns it round. */
export function runOrder(order: string): (a: Run, b: Run) => number {
  const down = order.startsWith("-");
  const key = down ? order.slice(1) : order;
  const value = (run: Run): number | string | null => {
    if (key.startsWith("m:")) return run.metrics[key.slice(2)] ?? null;
    if (key.startsWith("p:")) {
      const text = run.params[key.slice(2)];
      if (text === undefined) return null;
      return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
    }
    if (key === "duration") return run.end_ms === null ? Infinity : run.end_ms - run.start_ms;
    if (key === "name") return run.name.toLowerCase();
    if (key === "status") return run.status;
    return run.start_ms;
  };
  return (a, b) => {
    const [x, y] = [value(a), value(b)];
    // What has no value stands last, whichever way the column is turned.
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    const sign = x < y ? -1 : x > y ? 1 : 0;
    return down ? -sign : sign;
  };
}

/** The keys most runs have, most frequent first, then by name. */
export function commonKeys<T>(runs: readonly T[], pick: (run: T) => object): string[] {
  const seen = new Map<string, number>();
  for (const run of runs) for (const key of Object.keys(pick(run))) seen.set(key, (seen.get(key) ?? 0) + 1);
  return [...seen.keys()].sort((a, b) => (seen.get(b) ?? 0) - (seen.get(a) ?? 0) || a.localeCompare(b));
}
