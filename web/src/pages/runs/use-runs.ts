// The runs that a filter finds, sorted by the server, page after page as the table asks, kept fresh at the top by events.
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { get, type ApiError, type RunFilter } from "../../lib/api";
import { fetchOnce, useVerb } from "../../lib/query";
import type { MetricRange, Run } from "../../lib/records";

const PAGE = 200;

export interface Runs {
  runs: readonly Run[] | undefined;
  error: ApiError | undefined;
  /** True while another answer is awaited and an older one shown. */
  stale: boolean;
  /** True while further runs are left on the server. */
  more: boolean;
  loadMore: () => void;
}

const GROUPS: Record<string, string> = { m: "metrics", n: "metrics", x: "metrics", p: "params", t: "tags" };
const FIGURES: Record<string, string> = { n: ".min", x: ".max" };

/** A column as the query language writes it: "-x:auc" → `-run.metrics["auc"].max`. */
export function serverOrder(order: string): string {
  const down = order.startsWith("-") ? "-" : "";
  const key = order.replace(/^-/, "");
  const group = key[1] === ":" ? GROUPS[key[0] ?? ""] : undefined;
  if (group === undefined) return `${down}run.${key}`;
  return `${down}run.${group}[${JSON.stringify(key.slice(2))}]${FIGURES[key[0] ?? ""] ?? ""}`;
}

/** What the rows need of metrics, parameters and tags; a smallest or largest value comes from elsewhere. */
export function serverColumns(picked: readonly string[]): string[] {
  return [...new Set(picked.map((key) => `${GROUPS[key[0] ?? ""]}.${key.slice(2)}`))].sort();
}

export function useRuns(filter: RunFilter, order: string, picked: readonly string[] | null): Runs {
  const asked = picked === null ? null : { ...filter, order_by: serverOrder(order), limit: PAGE, columns: serverColumns(picked) };
  const view = JSON.stringify(asked);
  const first = useVerb("tracking/search_runs", asked);
  const [older, setOlder] = useState<{ view: string; runs: Run[]; next: string | null } | null>(null);
  // The page after which the next was asked for, of which view.
  const asking = useRef("");
  useEffect(() => {
    setOlder(null);
    asking.current = "";
  }, [view]);
  const tail = older?.view === view ? older : null;
  const next = tail === null ? (first.data?.next ?? null) : tail.next;
  const loadMore = useCallback(() => {
    const wanted = `${view}\n${next}`;
    if (next === null || asking.current === wanted || asked === null) return;
    asking.current = wanted;
    get("tracking/search_runs", { ...asked, after: next })
      .then((page) => {
        if (asking.current !== wanted) return; // another view is looked at by now
        setOlder((now) => ({ view, runs: [...(now?.view === view ? now.runs : []), ...page.runs], next: page.next }));
      })
      .catch(() => undefined) // the next scroll asks again
      .finally(() => {
        if (asking.current === wanted) asking.current = "";
      });
  }, [view, next]);
  const runs = useMemo(() => {
    if (first.data === undefined) return undefined;
    const seen = new Set(first.data.runs.map((run) => run.id));
    return [...first.data.runs, ...(tail?.runs ?? []).filter((run) => !seen.has(run.id))];
  }, [first.data, tail]);
  // While another answer is on its way the last one stays: a table that blinks at each letter cannot be read.
  const last = useRef<readonly Run[] | undefined>(undefined);
  if (runs !== undefined) last.current = runs;
  // A query that cannot be read yet is told at its box.
  const shown = runs ?? (first.error && first.error.status !== 400 ? undefined : last.current);
  return { runs: shown, error: first.error, stale: runs === undefined, more: runs !== undefined && next !== null, loadMore };
}

export type Ranges = ReadonlyMap<string, Record<string, MetricRange>>;

/** Smallest and largest values of metrics, for the runs at hand, a page at a time. */
export function useRanges(runs: readonly Run[], picked: readonly string[]): Ranges {
  const [ranges, setRanges] = useState<Ranges>(new Map());
  const keys = [...new Set(picked.filter((key) => /^[nx]:/.test(key)).map((key) => key.slice(2)))];
  const wanted = `${keys.join("\n")}\n${runs.length}\n${runs[0]?.id ?? ""}`;
  useEffect(() => {
    if (keys.length === 0) return undefined;
    let current = true;
    for (let start = 0; start < runs.length; start += PAGE) {
      const ids = runs.slice(start, start + PAGE).map((run) => run.id);
      fetchOnce("tracking/metric_ranges", { ids, keys })
        .then((found) => current && setRanges((now) => new Map([...now, ...Object.entries(found)])))
        .catch(() => undefined); // a cell without its figure shows a dash
    }
    return () => {
      current = false;
    };
  }, [wanted]);
  return ranges;
}

const PROBED = 12;

/** The first metric that is a course and not a single figure, as the first runs have it: what the small lines draw. */
export function useCourse(runs: readonly Run[], picked: readonly string[]): string | undefined {
  const keys = picked.filter((key) => key.startsWith("m:")).map((key) => key.slice(2));
  const ids = runs.filter((run) => keys.some((key) => key in run.metrics)).slice(0, PROBED).map((run) => run.id);
  const known = useVerb("tracking/metric_ranges", keys.length === 0 || ids.length === 0 ? null : { ids, keys });
  const found = Object.values(known.data ?? {});
  const course = keys.find((key) => found.some((ranges) => (ranges[key]?.points ?? 0) > 1));
  // While the rows change it stays what it was: a column that comes and goes cannot be read.
  const last = useRef<string | undefined>(undefined);
  if (known.data !== undefined) last.current = course;
  return last.current !== undefined && keys.includes(last.current) ? last.current : undefined;
}
