// Every run in one table: kinds as tabs, one filter box, sort by any column; the whole view is in the address.
import { useCallback, useDeferredValue, useMemo } from "react";
import type { Run } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { commonKeys, runFilter, runOrder } from "../../lib/filter";
import { spell } from "../../lib/describe";
import { count, duration, number, plural } from "../../lib/format";
import { navigate, path, useParam } from "../../lib/router";
import { Empty, Say, Segments, Skeleton, Trouble } from "../../components/basics";
import { Icon } from "../../components/icon";
import { Page } from "../../components/page";
import { Rows } from "../../components/rows";
import { ColumnMenu } from "./column-menu";
import { lessIsBetter } from "./better";
import { runColumns } from "./columns";
import { useRuns } from "./use-runs";

const KINDS = [
  { value: "all", label: "all" },
  { value: "run", label: "runs" },
  { value: "trial", label: "trials" },
  { value: "step", label: "steps" },
  { value: "pipeline", label: "pipelines" },
] as const;
const METRIC_COLUMNS = 5;

const FIRST_LINES = `import homeostat as hs

with hs.run("first", params={"lr": 0.1}) as run:
    run.log(auc=0.76)`;

export default function RunsPage() {
  const [kind, setKind] = useParam("kind", "all");
  const [text, setText] = useParam("q");
  const [order, setOrder] = useParam("order", "-start");
  const [chosen, setChosen] = useParam("columns");
  const { runs, error, more, loadMore } = useRuns(kind, order);
  const filter = useDeferredValue(text);
  const shown = useMemo(
    () => (runs ?? []).filter(runFilter(filter)).sort(runOrder(order)),
    [runs, filter, order],
  );
  const metrics = useMemo(() => commonKeys(runs ?? [], (run) => run.metrics), [runs]);
  const params = useMemo(() => commonKeys(runs ?? [], (run) => run.params), [runs]);
  const picked = useMemo(
    () => (chosen === "" ? metrics.slice(0, METRIC_COLUMNS).map((key) => `m:${key}`) : chosen.split(",")),
    [chosen, metrics],
  );
  const columns = useMemo(() => runColumns(picked, shown), [picked, shown]);
  const open = useCallback((run: Run) => navigate(path("runs", run.id)), []);

  return (
    <Page title="Runs" trail={["Runs"]}>
      {error && runs === undefined && <Trouble error={error} />}
      {runs === undefined ? (
        !error && <Skeleton lines={10} />
      ) : runs.length === 0 && kind === "all" ? (
        <>
          <Say>No run has been recorded yet.</Say>
          <Empty title="Record the first one" code={FIRST_LINES} />
        </>
      ) : (
        <>
          <Opening runs={runs} metric={metrics[0]} kind={kind} more={more} />
          <div className="toolbar">
            <Segments label="Kind of run" value={kind as (typeof KINDS)[number]["value"]} options={KINDS} onChange={setKind} />
            <label className="filter">
              <Icon name="search" size={14} />
              <input
                type="search"
                aria-label="Filter runs"
                placeholder="auc>0.75 status:finished words"
                value={text}
                onChange={(event) => setText(event.target.value)}
              />
              <kbd>/</kbd>
            </label>
            <ColumnMenu metrics={metrics} params={params} picked={picked} onChange={(next) => setChosen(next.join(","))} />
            <span className="note found">
              {shown.length === runs.length ? plural(runs.length, "run") : `${count(shown.length)} of ${count(runs.length)}`}
              {more && ", more below"}
            </span>
          </div>
          <Rows
            label="Runs"
            rows={shown}
            columns={columns}
            id={(run) => run.id}
            order={order}
            onOrder={setOrder}
            onOpen={open}
            onEnd={loadMore}
          />
          {shown.length === 0 && <p className="quiet none">No run fits. Words match names, parameters and tags; `auc&gt;0.75` compares.</p>}
        </>
      )}
    </Page>
  );
}

interface OpeningProps {
  runs: readonly Run[];
  metric: string | undefined;
  kind: string;
  more: boolean;
}

/** The sentence; when not all runs are at hand the server is asked for the best one. */
function Opening({ runs, metric, kind, more }: OpeningProps) {
  const sign = metric !== undefined && lessIsBetter(metric) ? "" : "-";
  const top = useVerb(
    "tracking/search_runs",
    more && metric !== undefined
      ? { ...(kind === "all" ? {} : { kind }), order_by: `${sign}metrics.${metric}`, limit: 1 }
      : null,
  );
  const best = metric === undefined ? null : more ? (top.data?.runs[0] ?? null) : bestOf(runs, metric);
  const running = runs.filter((run) => run.status === "running").length;
  const failed = runs.filter((run) => run.status === "failed").length;
  const many = `**${count(runs.length)}${more ? "+" : ""}** ${runs.length === 1 ? "run" : "runs"}`;
  const states = running > 0 ? `, **${running}** going on now` : failed > 0 ? `, **${failed}** of them failed` : "";
  const record =
    best && metric !== undefined ? ` The best ${spell(metric)} is **${number(best.metrics[metric])}**, by ${best.name}.` : "";
  const last = runs.find((run) => run.end_ms !== null);
  const took = record === "" && last?.end_ms ? ` The last to end, ${last.name}, took **${duration(last.end_ms - last.start_ms)}**.` : "";
  return <Say>{`${many}${states}.${record}${took}`}</Say>;
}

function bestOf(runs: readonly Run[], key: string): Run | null {
  const known = runs.filter((run) => Number.isFinite(run.metrics[key] ?? NaN));
  const sign = lessIsBetter(key) ? -1 : 1;
  return known.reduce<Run | null>((best, run) => {
    const value = (run.metrics[key] ?? 0) * sign;
    return best === null || value > (best.metrics[key] ?? 0) * sign ? run : best;
  }, null);
}
