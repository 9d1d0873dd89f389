// All runs of a kind, page after page as the table asks, kept fresh at the top by events.
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { get, type ApiError } from "../../lib/api";
import { useVerb } from "../../lib/query";
import type { Run } from "../../lib/records";

const PAGE = 200;

export interface Runs {
  runs: readonly Run[] | undefined;
  error: ApiError | undefined;
  /** True while older runs are left on the server. */
  more: boolean;
  loadMore: () => void;
}

/** The server's name of an order, where it knows it; what it does not know is sorted among the runs at hand. */
function serverOrder(order: string): string {
  const down = order.startsWith("-") ? "-" : "";
  const key = order.replace(/^-/, "");
  if (key.startsWith("m:")) return `${down}metrics.${key.slice(2)}`;
  if (key.startsWith("p:")) return `${down}params.${key.slice(2)}`;
  return key === "duration" ? "-start" : down + key;
}

export function useRuns(kind: string, order: string): Runs {
  const asked = { ...(kind === "all" ? {} : { kind }), order_by: serverOrder(order), limit: PAGE };
  const view = `${kind} ${asked.order_by}`;
  const first = useVerb("tracking/search_runs", asked);
  const [older, setOlder] = useState<{ view: string; runs: Run[]; next: string | null } | null>(null);
  const busy = useRef(false);
  useEffect(() => setOlder(null), [view]);
  const tail = older?.view === view ? older : null;
  const next = tail === null ? (first.data?.next ?? null) : tail.next;
  const loadMore = useCallback(() => {
    if (next === null || busy.current) return;
    busy.current = true;
    get("tracking/search_runs", { ...asked, after: next })
      .then((page) => {
        setOlder((now) => ({ view, runs: [...(now?.view === view ? now.runs : []), ...page.runs], next: page.next }));
      })
      .catch(() => undefined) // the next scroll asks again
      .finally(() => {
        busy.current = false;
      });
  }, [view, next]);
  const runs = useMemo(() => {
    if (first.data === undefined) return undefined;
    const seen = new Set(first.data.runs.map((run) => run.id));
    return [...first.data.runs, ...(tail?.runs ?? []).filter((run) => !seen.has(run.id))];
  }, [first.data, tail]);
  return { runs, error: first.error, more: next !== null, loadMore };
}
