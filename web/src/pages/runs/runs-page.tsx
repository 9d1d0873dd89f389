// Every run in one table: kinds as tabs, one filter box, sort by any column; the whole view is in the address.
import "./runs.css";
import { useCallback, useEffect, useMemo, useState, type ReactNode } from "react";
import type { Run, RunFacets } from "../../lib/records";
import type { RunFilter } from "../../lib/api";
import type { Names } from "../../lib/complete";
import { useVerb } from "../../lib/query";
import { spell } from "../../lib/describe";
import { lessIsBetter } from "../../lib/better";
import { count, duration, number, plural } from "../../lib/format";
import { navigate, path, useParam } from "../../lib/router";
import { Empty, Say, Segments, Skeleton, Trouble } from "../../components/basics";
import { Page } from "../../components/page";
import { Rows } from "../../components/rows";
import { ColumnMenu } from "./column-menu";
import { runColumns } from "./columns";
import { Explore } from "./explore";
import { Facets } from "./facets";
import { QueryBox } from "./query-box";
import { Selection, useChosen } from "./selection";
import { serverOrder, useCourse, useRanges, useRuns } from "./use-runs";
import { ViewsMenu } from "./views-menu";

const KINDS = [
  { value: "all", label: "all" },
  { value: "run", label: "runs" },
  { value: "trial", label: "trials" },
  { value: "step", label: "steps" },
  { value: "pipeline", label: "pipelines" },
] as const;
const SHOWN = [
  { value: "table", label: "table" },
  { value: "charts", label: "charts" },
  { value: "media", label: "media" },
] as const;
const METRIC_COLUMNS = 5;
const TYPING_MS = 180;

const FIRST_LINES = `import homeostat as hs

with hs.run("first", params={"lr": 0.1}) as run:
    run.log(auc=0.76)`;

/** A value once it has not changed for a moment: the server is asked when one pauses, not at each letter. */
function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(value), TYPING_MS);
    return () => window.clearTimeout(timer);
  }, [value]);
  return settled;
}

function namesOf(facets: RunFacets | undefined): Names {
  return { metrics: Object.keys(facets?.metrics ?? {}), params: Object.keys(facets?.params ?? {}), tags: Object.keys(facets?.tags ?? {}) };
}

export default function RunsPage() {
  const [kind, setKind] = useParam("kind", "all");
  const [text, setText] = useParam("q");
  const [order, setOrder] = useParam("order", "-start");
  const [status, setStatus] = useParam("status");
  const [experiment, setExperiment] = useParam("experiment");
  const query = useSettled(text).trim();
  const [lifecycle, setLifecycle] = useParam("lifecycle");
  const [show, setShow] = useParam("show", "table");
  const wide = useMemo((): RunFilter => ({ kind: kind === "all" ? "" : kind, query, ...(lifecycle === "deleted" ? { lifecycle } : {}) }), [kind, query, lifecycle]);
  const filter = useMemo((): RunFilter => ({ ...wide, status, experiment }), [wide, status, experiment]);
  const facets = useVerb("tracking/run_facets", wide);
  const found = useVerb("tracking/run_facets", filter);
  // The facets of the last filter stay until the next have come, like the rows.
  const [kept, setKept] = useState<{ facets: RunFacets; filter: RunFilter } | undefined>(undefined);
  useEffect(() => setKept((now) => (facets.data === undefined ? now : { facets: facets.data, filter: wide })), [facets.data, wide]);
  const known = facets.data ?? kept?.facets;
  const nothing = known?.runs === 0 && kind === "all" && query === "" && lifecycle === "";
  const refused = query !== "" && facets.error?.status === 400 ? facets.error : undefined;
  const names = useMemo(() => namesOf(known), [known]);
  return (
    <Page title="Runs" trail={["Runs"]}>
      {known === undefined && refused === undefined ? (
        facets.error ? <Trouble error={facets.error} /> : <Skeleton lines={10} />
      ) : nothing ? (
        <>
          <Say>No run has been recorded yet.</Say>
          <Empty title="Record the first one" code={FIRST_LINES} />
        </>
      ) : (
        <>
          {known !== undefined && <Opening facets={known} filter={facets.data === undefined && kept !== undefined ? kept.filter : wide} />}
          <div className="toolbar">
            <Segments label="Kind of run" value={kind as (typeof KINDS)[number]["value"]} options={KINDS} onChange={setKind} />
            <QueryBox text={text} onText={setText} names={names} error={refused} />
            <span className="grow" />
            <Segments label="Show" value={show as (typeof SHOWN)[number]["value"]} options={SHOWN} onChange={setShow} />
          </div>
          {known !== undefined && (
            <RunTable
              lead={
                <Facets facets={known} status={status} experiment={experiment} onStatus={setStatus} onExperiment={setExperiment}>
                  <button type="button" aria-pressed={lifecycle === "deleted"} onClick={() => setLifecycle(lifecycle === "deleted" ? "" : "deleted")}>
                    deleted
                  </button>
                </Facets>
              }
              show={show}
              filter={filter}
              facets={known}
              total={found.data?.runs}
              order={order}
              onOrder={setOrder}
            />
          )}
        </>
      )}
    </Page>
  );
}

interface RunTableProps {
  /** What stands before the menus. */
  lead: ReactNode;
  /** The rows as a table, or what they logged as charts or media. */
  show: string;
  filter: RunFilter;
  facets: RunFacets;
  total: number | undefined;
  order: string;
  onOrder: (order: string) => void;
}

function RunTable({ lead, show, filter, facets, total, order, onOrder }: RunTableProps) {
  const [chosenColumns, setChosenColumns] = useParam("columns");
  const usual = Object.keys(facets.metrics).slice(0, METRIC_COLUMNS).map((key) => `m:${key}`).join(",");
  const picked = useMemo(() => (chosenColumns || usual).split(",").filter(Boolean), [chosenColumns, usual]);
  const { runs, error, stale, more, loadMore } = useRuns(filter, order, picked);
  const shown = runs ?? [];
  const ranges = useRanges(shown, picked);
  const course = useCourse(shown, picked);
  const columns = useMemo(() => runColumns(picked, shown, ranges, course), [picked, shown, ranges, course]);
  const open = useCallback((run: Run) => navigate(path("runs", run.id)), []);
  const held = useChosen();
  return (
    <>
      <div className="toolbar table-bar">
        {lead}
        {show === "table" && (
          <ColumnMenu
            metrics={Object.keys(facets.metrics)}
            params={Object.keys(facets.params)}
            tags={Object.keys(facets.tags)}
            picked={picked}
            onChange={(next) => setChosenColumns(next.join(","))}
          />
        )}
        <ViewsMenu />
        <span className="note found">{total === undefined ? "" : `${plural(total, "run")}${more && show === "table" ? ", more below" : ""}`}</span>
      </div>
      {(show === "charts" || show === "media") && !error && <Explore filter={filter} order={order} total={total} show={show} />}
      {error && error.status !== 400 && <Trouble error={error} />}
      {show === "table" && runs === undefined && !error && <Skeleton lines={10} />}
      {show === "table" && runs !== undefined && (
        <div className={stale ? "stale" : ""}>
          <Rows
            label="Runs"
            rows={shown}
            columns={columns}
            id={(run) => run.id}
            order={order}
            onOrder={onOrder}
            onOpen={open}
            onEnd={loadMore}
            chosen={held.chosen}
            onChoose={held.choose}
          />
        </div>
      )}
      {show === "table" && !stale && runs?.length === 0 && <p className="quiet none">No run fits. Words are looked for in names, parameters and tags; run.metrics.auc &gt; 0.75 compares.</p>}
      <Selection held={held} loaded={shown} filter={filter} order={order} total={total} picked={picked} ranges={ranges} />
    </>
  );
}

/** The sentence: how many there are, how they go, and the best of them all. */
function Opening({ facets, filter }: { facets: RunFacets; filter: RunFilter }) {
  const metric = Object.keys(facets.metrics)[0];
  const sign = metric !== undefined && lessIsBetter(metric) ? "" : "-";
  const top = useVerb(
    "tracking/search_runs",
    metric === undefined
      ? { ...filter, limit: 1, columns: [], order_by: "-run.end" }
      : { ...filter, order_by: serverOrder(`${sign}m:${metric}`), limit: 1, columns: [`metrics.${metric}`] },
  );
  const best = top.data?.runs[0];
  const { running = 0, failed = 0 } = facets.statuses;
  const many = `**${count(facets.runs)}** ${filter.lifecycle ? "deleted " : ""}${facets.runs === 1 ? "run" : "runs"}`;
  const states = running > 0 ? `, **${running}** going on now` : failed > 0 ? `, **${failed}** of them failed` : "";
  const value = metric === undefined ? undefined : best?.metrics[metric];
  if (metric !== undefined && best !== undefined && value != null) {
    return <Say>{`${many}${states}. The best ${spell(metric)} is **${number(value)}**, by ${best.name}.`}</Say>;
  }
  const took = metric === undefined && best?.end_ms ? ` The last to end, ${best.name}, took **${duration(best.end_ms - best.start_ms)}**.` : "";
  return <Say>{`${many}${states}.${took}`}</Say>;
}
