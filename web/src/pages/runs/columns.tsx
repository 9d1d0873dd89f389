// The columns of the runs table: what every run has, then the chosen metrics, parameters and tags.
import type { Run } from "../../lib/records";
import { spell } from "../../lib/describe";
import { ago, brief, duration, exact, number } from "../../lib/format";
import { extent, linear } from "../../lib/scale";
import { Link, path } from "../../lib/router";
import { RunState } from "../../components/basics";
import type { Column } from "../../components/rows";
import { MetricSpark } from "./metric-spark";
import type { Ranges } from "./use-runs";

const NO_RANGES: Ranges = new Map();

export function runColumns(picked: readonly string[], rows: readonly Run[], ranges: Ranges = NO_RANGES, course?: string): Column<Run>[] {
  return [
    {
      key: "name",
      title: "run",
      width: "minmax(168px, 1.6fr)",
      sortable: true,
      cell: (run) => (
        <>
          <Link to={path("runs", run.id)}>{run.name || run.id.slice(0, 8)}</Link>
          <span className="note"> {run.kind === "run" ? run.experiment : run.kind}</span>
        </>
      ),
    },
    { key: "status", title: "state", width: "96px", sortable: true, cell: (run) => <RunState status={run.status} /> },
    {
      key: "start",
      title: "started",
      width: "104px",
      sortable: true,
      cell: (run) => <span title={exact(run.start_ms)}>{ago(run.start_ms)}</span>,
    },
    {
      key: "duration",
      title: "took",
      width: "84px",
      align: "right",
      sortable: true,
      cell: (run) => (run.end_ms === null ? <span className="note">…</span> : duration(run.end_ms - run.start_ms)),
    },
    ...(course === undefined
      ? []
      : [{ key: "spark", title: spell(course), width: "80px", cell: (run: Run) => <MetricSpark run={run} metric={course} /> }]),
    ...picked.map((key) => (/^[mnx]:/.test(key) ? metricColumn(key, rows, ranges) : textColumn(key))),
  ];
}

const WHICH: Record<string, string> = { m: "", n: "min ", x: "max " };

/** The figure that a metric column ("m:", "n:" smallest, "x:" largest) shows of a run. */
export function figure(run: Run, key: string, ranges: Ranges): number | null | undefined {
  const metric = key.slice(2);
  if (key.startsWith("m:")) return run.metrics[metric];
  const range = ranges.get(run.id)?.[metric];
  return key.startsWith("n:") ? range?.min : range?.max;
}

/** A column's name as a heading and in copied tables. */
export function columnName(key: string): string {
  return /^[mnx]:/.test(key) ? (WHICH[key[0] ?? "m"] ?? "") + spell(key.slice(2)) : key.slice(2);
}

function metricColumn(key: string, rows: readonly Run[], ranges: Ranges): Column<Run> {
  const range = extent(rows.map((run) => figure(run, key, ranges)));
  const share = range === null || range[0] === range[1] ? null : linear(range, [2, 58]);
  return {
    key,
    title: columnName(key),
    name: `${(WHICH[key[0] ?? "m"] ?? "") + key.slice(2)}`,
    width: "minmax(92px, 0.7fr)",
    align: "right",
    sortable: true,
    cell: (run) => {
      const value = figure(run, key, ranges);
      if (value === undefined) return <span className="note">–</span>;
      return (
        <span className="metric-cell">
          {number(value)}
          {share && value !== null && (
            <svg className="where" width={60} height={4} aria-hidden>
              <line x1={0} x2={60} y1={2} y2={2} />
              <circle cx={share(value)} cy={2} r={2} />
            </svg>
          )}
        </span>
      );
    },
  };
}

function textColumn(key: string): Column<Run> {
  const name = key.slice(2);
  return {
    key,
    title: name,
    width: "minmax(92px, 0.7fr)",
    align: "right",
    sortable: true,
    cell: (run) => <span className="mono">{brief((key.startsWith("t:") ? run.tags : run.params)[name] ?? "–")}</span>,
  };
}
