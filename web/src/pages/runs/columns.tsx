// The columns of the runs table: what every run has, then the chosen metrics and parameters.
import type { Run } from "../../lib/records";
import { spell } from "../../lib/describe";
import { ago, brief, duration, exact, number } from "../../lib/format";
import { extent, linear } from "../../lib/scale";
import { Link, path } from "../../lib/router";
import { RunState } from "../../components/basics";
import type { Column } from "../../components/rows";
import { MetricSpark } from "./metric-spark";

export function runColumns(picked: readonly string[], rows: readonly Run[]): Column<Run>[] {
  const first = picked.find((key) => key.startsWith("m:"))?.slice(2);
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
    ...(first === undefined
      ? []
      : [{ key: "spark", title: "by step", width: "80px", cell: (run: Run) => <MetricSpark run={run} metric={first} /> }]),
    ...picked.map((key) => (key.startsWith("m:") ? metricColumn(key, rows) : paramColumn(key))),
  ];
}

function metricColumn(key: string, rows: readonly Run[]): Column<Run> {
  const metric = key.slice(2);
  const range = extent(rows.map((run) => run.metrics[metric]));
  const share = range === null || range[0] === range[1] ? null : linear(range, [2, 58]);
  return {
    key,
    title: spell(metric),
    name: metric,
    width: "minmax(92px, 0.7fr)",
    align: "right",
    sortable: true,
    cell: (run) => {
      const value = run.metrics[metric];
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

function paramColumn(key: string): Column<Run> {
  const param = key.slice(2);
  return {
    key,
    title: param,
    width: "minmax(92px, 0.7fr)",
    align: "right",
    sortable: true,
    cell: (run) => <span className="mono">{brief(run.params[param] ?? "–")}</span>,
  };
}
