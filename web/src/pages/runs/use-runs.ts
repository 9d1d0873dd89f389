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

export function useRuns(kind: string): Runs {
  const first = useVerb("tracking/search_runs", { ...(kind === "all" ? {} : { kind }), order_by: "-start", limit: PAGE });
  const [older, setOlder] = useState<{ kind: string; runs: Run[]; next: string | null } | null>(null);
  const busy = useRef(false);
  useEffect(() => setOlder(null), [kind]);
  const tail = older?.kind === kind ? older : null;
  const next = tail === null ? (first.data?.next ?? null) : tail.next;
  const loadMore = useCallback(() => {
    if (next === null || busy.current) return;
    busy.current = true;
    get("tracking/search_runs", { ...(kind === "all" ? {} : { kind }), order_by: "-start", limit: PAGE, after: next })
      .then((page) => {
        setOlder((now) => ({ kind, runs: [...(now?.kind === kind ? now.runs : []), ...page.runs], next: page.next }));
      })
      .catch(() => undefined) // the next scroll asks again
      .finally(() => {
        busy.current = false;
      });
  }, [kind, next]);
  const runs = useMemo(() => {
    if (first.data === undefined) return undefined;
    const seen = new Set(first.data.runs.map((run) => run.id));
    return [...first.data.runs, ...(tail?.runs ?? []).filter((run) => !seen.has(run.id))];
  }, [first.data, tail]);
  return { runs, error: first.error, more: next !== null, loadMore };
}
