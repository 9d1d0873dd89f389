// One run: what went in, what came out, how it went, what it read and made.
import "./runs.css";
import { useMemo } from "react";
import type { Run } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { spell } from "../../lib/describe";
import { brief, duration, exact, moment, number, plural, short } from "../../lib/format";
import { Link, path } from "../../lib/router";
import { Answer, Card, Code, Pill, RUN_LOOKS, Say, Time, Trouble } from "../../components/basics";
import { Page } from "../../components/page";
import { LineageCard } from "../../components/lineage-card";
import { MetricSection } from "../compare/metric-section";
import { MediaSection } from "../media/media-section";
import { Artifacts } from "./artifacts";
import { Console, CONSOLE } from "./console";
import { Children } from "./children";
import { Notes } from "./notes";
import { move } from "./selection";

export default function RunPage({ id }: { id: string }) {
  const run = useVerb("tracking/get_run", { id });
  return (
    <Answer query={run} lines={8}>
      {(found) => <RunView run={found} />}
    </Answer>
  );
}

function opening(run: Run): string {
  const took = run.end_ms === null ? null : duration(run.end_ms - run.start_ms);
  const what = run.kind === "run" ? `A run of ${run.experiment}` : `A ${run.kind} of ${run.experiment}`;
  const told = Object.entries(run.metrics)
    .slice(0, 2)
    .map(([key, value]) => `${spell(key)} **${number(value)}**`);
  const measured = told.length > 0 ? ` It measured ${told.join(" and ")}.` : "";
  if (run.status === "scheduled") return `${what}, waiting to begin.`;
  if (run.status === "running") return `${what}, going on since ${moment(run.start_ms)}.${measured}`;
  return `${what}, ${run.status} after **${took ?? "an unknown time"}**.${measured}`;
}

function RunView({ run }: { run: Run }) {
  const children = useVerb("tracking/search_runs", { parent_id: run.id, order_by: "start", limit: 500 });
  const files = useVerb("tracking/list_artifacts", { id: run.id });
  const console = files.data?.find((file) => file.path === CONSOLE);
  const name = run.name || run.id.slice(0, 8);
  const look = RUN_LOOKS[run.status];
  const alone = useMemo(() => [run], [run]);
  return (
    <Page
      title={name}
      trail={["Runs", name]}
      badge={
        <>
          <Pill tone={look.tone} icon={look.icon}>
            {run.status}
          </Pill>
          {run.lifecycle === "deleted" && <Pill tone="quiet">deleted</Pill>}
          <button type="button" className="ghost" onClick={() => void move([run.id], run.lifecycle === "deleted" ? "active" : "deleted")}>
            {run.lifecycle === "deleted" ? "restore" : "delete"}
          </button>
        </>
      }
    >
      <Say>{opening(run)}</Say>
      {run.error !== null && (
        <div className="run-error">
          <Trouble error={{ message: "This run failed.", hint: "", code: "" }} />
          <Code label="Copy the error">{run.error}</Code>
        </div>
      )}
      {children.data !== undefined && <Children parent={run} runs={children.data.runs} />}
      <div className="two">
        <Facts run={run} />
        <Figures run={run} />
      </div>
      <Notes run={run} />
      <MetricSection runs={alone} />
      <MediaSection runs={alone} />
      <LineageCard kind="run" asset={run.id} />
      {console && <Console id={run.id} file={console} live={run.status === "running"} />}
      <Artifacts id={run.id} files={files.data ?? []} />
    </Page>
  );
}

function Facts({ run }: { run: Run }) {
  const rows: [string, React.ReactNode][] = [
    ["started", <Time key="t" ms={run.start_ms} />],
    ["ended", run.end_ms === null ? "not yet" : <span title={exact(run.end_ms)}>{moment(run.end_ms)}</span>],
    ["kind", run.kind],
    ["experiment", run.experiment],
    ["source", run.source ? <span className="mono">{run.source}</span> : "–"],
    ["code", run.code_version ? <span className="mono">{short(run.code_version)}</span> : "–"],
    ["id", <span key="i" className="mono">{run.id}</span>],
  ];
  if (run.parent_id !== null) rows.push(["part of", <Link key="p" to={path("runs", run.parent_id)}>{run.parent_id.slice(0, 8)}</Link>]);
  return (
    <Card title="Facts">
      <dl className="facts-list">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

function Figures({ run }: { run: Run }) {
  const params = useMemo(() => Object.entries(run.params).sort(([a], [b]) => a.localeCompare(b)), [run.params]);
  const metrics = Object.entries(run.metrics);
  return (
    <Card title="Parameters and metrics" aside={`${plural(params.length, "parameter")}, ${plural(metrics.length, "metric")}`}>
      <dl className="facts-list">
        {metrics.map(([key, value]) => (
          <div key={`m${key}`}>
            <dt>{spell(key)}</dt>
            <dd>
              <b className="value">{number(value, 4)}</b>
            </dd>
          </div>
        ))}
        {params.map(([key, value]) => (
          <div key={`p${key}`}>
            <dt>{key}</dt>
            <dd className="mono" title={value}>
              {brief(value)}
            </dd>
          </div>
        ))}
        {params.length + metrics.length === 0 && <p className="quiet">None were logged.</p>}
      </dl>
    </Card>
  );
}
