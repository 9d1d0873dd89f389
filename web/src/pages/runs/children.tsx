// What a run consists of: steps as bars on its own clock, trials as points with the best so far.
import type { PipelineRun, Run, RunStatus } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { spell } from "../../lib/describe";
import { duration, number, plural } from "../../lib/format";
import { extent, line, linear, padded, steps as stairs, tickDigits, ticks, type XY } from "../../lib/scale";
import { commonKeys } from "../../lib/diff";
import { Link, navigate, path } from "../../lib/router";
import { Card, RunState } from "../../components/basics";
import { useWidth } from "../../components/use-width";
import { lessIsBetter } from "../../lib/better";

export function Children({ parent, runs }: { parent: Run; runs: readonly Run[] }) {
  // What came from the cache has no run of its own here; the pipeline's own record knows it, and why.
  const pipeline = useVerb("pipelines/get_pipeline_run", parent.kind === "pipeline" ? { run: parent.id } : null);
  const trials = runs.filter((run) => run.kind === "trial");
  const bars = pipeline.data ? barsOfSteps(pipeline.data) : barsOfRuns(runs.filter((run) => run.kind !== "trial"));
  return (
    <>
      {bars.length > 0 && <Steps parent={parent} bars={bars} />}
      {trials.length > 0 && <Trials runs={trials} />}
    </>
  );
}

interface Bar {
  name: string;
  status: RunStatus;
  /** Said instead of the status where it says more: cached, waiting. */
  word: string | null;
  from: number | null;
  to: number | null;
  runId: string | null;
  why: string;
}
const STEP_STATUS = { waiting: "killed", running: "running", done: "finished", cached: "finished", failed: "failed", stopped: "killed" } as const;

function barsOfSteps(pipeline: PipelineRun): Bar[] {
  return pipeline.steps.map((step) => ({
    name: step.name,
    status: STEP_STATUS[step.status],
    word: step.status === "cached" || step.status === "waiting" ? step.status : null,
    from: step.start_ms,
    to: step.end_ms,
    runId: step.run_id,
    why: step.why,
  }));
}

function barsOfRuns(runs: readonly Run[]): Bar[] {
  return runs.map((run) => ({
    name: run.name,
    status: run.status,
    word: run.tags.cached === "true" ? "cached" : null,
    from: run.start_ms,
    to: run.end_ms,
    runId: run.id,
    why: "",
  }));
}

function Steps({ parent, bars }: { parent: Run; bars: readonly Bar[] }) {
  const now = Date.now();
  const end = parent.end_ms ?? Math.max(parent.start_ms, ...bars.map((bar) => bar.to ?? (bar.from === null ? 0 : now)));
  const x = linear([parent.start_ms, Math.max(end, parent.start_ms + 1)], [0, 100]);
  return (
    <Card title="Steps" aside={`${plural(bars.length, "step")} in ${duration(end - parent.start_ms)}`}>
      <ol className="steps">
        {bars.map((bar) => (
          <li key={bar.name} title={bar.why}>
            {bar.runId === null ? <span>{bar.name}</span> : <Link to={path("runs", bar.runId)}>{bar.name}</Link>}
            <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden>
              <rect className="lane" x={0} y={4.5} width={100} height={1} />
              {bar.from !== null && bar.from >= parent.start_ms && (
                <rect
                  className={`bar ${bar.status} ${bar.word ?? ""}`}
                  x={x(bar.from)}
                  y={1}
                  width={Math.max(0.6, x(bar.to ?? now) - x(bar.from))}
                  height={8}
                />
              )}
            </svg>
            <span className="note">{bar.word ?? (bar.from === null ? "" : duration((bar.to ?? now) - bar.from))}</span>
            {bar.word === "waiting" ? <span className="state quiet">waiting</span> : <RunState status={bar.status} />}
          </li>
        ))}
      </ol>
    </Card>
  );
}

const HEIGHT = 180;
const LEFT = 46;

function Trials({ runs }: { runs: readonly Run[] }) {
  const [ref, width] = useWidth<HTMLDivElement>(800);
  const key = runs[0]?.tags.objective ?? commonKeys(runs, (run) => run.metrics)[0];
  const found = key === undefined ? null : extent(runs.map((run) => run.metrics[key]));
  if (key === undefined || found === null) return null;
  const range = padded(found);
  const x = linear([0, Math.max(1, runs.length - 1)], [LEFT + 8, width - 12]);
  const y = linear(range, [HEIGHT - 22, 8]);
  const less = lessIsBetter(key);
  const frontier: XY[] = [];
  let best: number | null = null;
  runs.forEach((run, i) => {
    const value = run.metrics[key];
    if (value == null) return;
    if (best === null || (less ? value < best : value > best)) best = value;
    frontier.push([x(i), y(best)]);
  });
  const values = ticks(range, 4);
  return (
    <Card title={`Trials by ${spell(key)}`} aside={<span>{plural(runs.length, "trial")}, best <b className="value">{number(best)}</b></span>}>
      <div ref={ref}>
        <svg width={width} height={HEIGHT} className="trials" role="group" aria-label={`${runs.length} trials`}>
          {values.map((value) => (
            <g key={value}>
              <line className="grid" x1={LEFT} x2={width - 8} y1={y(value)} y2={y(value)} />
              <text className="axis" x={LEFT - 6} y={y(value) + 4} textAnchor="end">
                {value.toFixed(tickDigits(values))}
              </text>
            </g>
          ))}
          <path className="series best" d={frontier.length > 1 ? stairs(frontier) : line(frontier)} />
          {runs.map((run, i) => {
            const value = run.metrics[key];
            if (value == null) return null;
            return (
              <circle key={run.id} className={`trial ${value === best ? "top" : ""}`} cx={x(i)} cy={y(value)} r={4} onClick={() => navigate(path("runs", run.id))}>
                <title>{`${run.name}: ${number(value, 4)}`}</title>
              </circle>
            );
          })}
          <text className="axis" x={width - 12} y={HEIGHT - 4} textAnchor="end">
            in the order they ran; the line is the best so far
          </text>
        </svg>
      </div>
    </Card>
  );
}
