// The signature page: one model's loop, what must hold, how it went, and every decision with its reasons.
import { useMemo } from "react";
import { useVerb, type Query } from "../../lib/query";
import { Link, navigate, path, useParam } from "../../lib/router";
import { day, DAY, signed } from "../../lib/format";
import { spell } from "../../lib/describe";
import { extent, type Extent } from "../../lib/scale";
import type { Decision, LoopStatus, QualityPoint } from "../../lib/records";
import { Answer, Card, Empty, Pill, Say, Segments, StatePill } from "../../components/basics";
import { Timeline } from "../../components/timeline";
import { Page } from "../../components/page";
import { Ring } from "./ring";
import { Variables } from "./variables";
import { Quality } from "./quality";
import { Decisions } from "./decisions";
import { LoopList } from "./loop-list";

const SPANS = { "8w": 56 * DAY, "6m": 183 * DAY, all: Infinity } as const;
type Span = keyof typeof SPANS;

const FIRST_LINES = `# homeostat.yaml
model: delay
predict: late
pipeline: pipeline:train
hold:
  - auc >= 0.72 over 14d
  - latency_p99 <= 20ms over 1h

$ homeostat apply`;

export default function LoopPage({ model }: { model: string | undefined }) {
  const list = useVerb("loop/list_models", {});
  if (model !== undefined) return <OneLoop model={model} />;
  return (
    <Answer query={list} lines={8}>
      {(loops) => {
        if (loops.length === 0) return <NoLoop />;
        const [only] = loops;
        return loops.length === 1 && only ? <OneLoop model={only.model} /> : <LoopList loops={loops} />;
      }}
    </Answer>
  );
}

function NoLoop() {
  return (
    <Page title="Loop" trail={["Loop"]}>
      <Say>No model is held yet. Say what must hold for one, and this page shows whether it does.</Say>
      <Empty title="Write what must hold" code={FIRST_LINES}>
        <p>Or watch a whole year go by on real flights:</p>
        <p className="mono">homeostat demo</p>
      </Empty>
    </Page>
  );
}

function OneLoop({ model }: { model: string }) {
  const status = useVerb("loop/status", { model });
  const quality = useVerb("loop/quality_history", { model });
  const decisions = useVerb("loop/decisions", { model, limit: 200 });
  return (
    <Answer query={status} lines={8}>
      {(loop) => <LoopView loop={loop} quality={quality} decisions={decisions} />}
    </Answer>
  );
}

/** From the first thing known to the time of the status, or the last part of it. */
export function pageDomain(
  loop: LoopStatus,
  quality: readonly QualityPoint[],
  decisions: readonly Decision[],
  span: Span,
): Extent {
  const times = [
    loop.at_ms || undefined, // 0: not looked at yet
    ...quality.map((p) => p.at_ms),
    ...decisions.map((d) => d.at_ms),
    ...loop.variables.flatMap((v) => [v.history[0]?.at_ms, v.history.at(-1)?.at_ms]),
  ];
  const now = Date.now();
  const [from, to] = extent(times) ?? [now - DAY, now];
  return [Math.max(from === to ? to - DAY : from, to - SPANS[span]), to];
}

interface ViewProps {
  loop: LoopStatus;
  quality: Query<QualityPoint[]>;
  decisions: Query<Decision[]>;
}

function LoopView({ loop, quality, decisions }: ViewProps) {
  const [span, setSpan] = useParam("span", "all");
  const known: Span = span in SPANS ? (span as Span) : "all";
  const domain = useMemo(
    () => pageDomain(loop, quality.data ?? [], decisions.data ?? [], known),
    [loop, quality.data, decisions.data, known],
  );
  return (
    <Page title={loop.model} trail={["Loop", loop.model]} badge={<StatePill state={loop.state} />} {...(loop.at_ms > 0 ? { at: loop.at_ms } : {})}>
      <Say then={gained(loop, quality.data ?? [])}>{withDays(loop.sentence)}</Say>
      <Facts loop={loop} />
      <Timeline domain={domain}>
        <div className="loop-top">
          <Card title="The loop" aside={inOrder(loop)} className="ring-card">
            <Ring loop={loop} />
          </Card>
          <Card
            title="Essential variables"
            className="variables"
            aside={
              <Segments
                label="Time span of the page"
                value={known}
                options={[
                  { value: "8w", label: "8 weeks" },
                  { value: "6m", label: "6 months" },
                  { value: "all", label: "all" },
                ]}
                onChange={setSpan}
              />
            }
          >
            <Variables variables={loop.variables} at={loop.at_ms} />
          </Card>
        </div>
        <Quality query={quality} decisions={decisions.data ?? null} central={loop.central} />
        <Decisions query={decisions} at={loop.at_ms} />
      </Timeline>
    </Page>
  );
}

const RECENT = 28 * DAY;

/** What learning again has been worth lately, unless the sentence tells it already or it never happened. */
export function gained(loop: LoopStatus, points: readonly QualityPoint[]): string | null {
  const last = points.at(-1);
  if (last === undefined || loop.sentence.includes("never learned again")) return null;
  const recent = points.filter((p) => p.at_ms > last.at_ms - RECENT && p.live !== null && p.frozen !== null && p.n > 0);
  const n = recent.reduce((sum, p) => sum + p.n, 0);
  const gain = recent.reduce((sum, p) => sum + ((p.live ?? 0) - (p.frozen ?? 0)) * p.n, 0) / n;
  if (n === 0 || points.every((p) => p.live === p.frozen)) return null;
  const side = gain >= 0 ? "ahead of" : "behind";
  return `Over the last four weeks it is **${signed(gain)} ${spell(loop.central?.measure ?? "auc")}** ${side} a model that never learned again.`;
}

/** Dates as people say them: "2013-11-14" → "14 Nov 2013". */
export function withDays(sentence: string): string {
  return sentence.replace(/\b\d{4}-\d\d-\d\d\b/g, (date) => day(Date.parse(date)));
}

function inOrder(loop: LoopStatus): string {
  const fine = loop.stages.filter((stage) => stage.state === "ok").length;
  return fine === loop.stages.length ? "all stages in order" : `${fine} of ${loop.stages.length} stages in order`;
}

function Facts({ loop }: { loop: LoopStatus }) {
  return (
    <p className="facts">
      {loop.champion !== null && (
        <Link className="chip" to={`${path("models", loop.model)}?version=${loop.champion}`}>
          champion <b>v{loop.champion}</b>
        </Link>
      )}
      {loop.canary !== null && (
        <button
          type="button"
          className="chip"
          onClick={() => navigate(`${path("models", loop.model)}?version=${loop.canary?.version}`)}
        >
          <Pill tone="accent" icon="split">
            canary v{loop.canary.version} · {Math.round(loop.canary.weight * 100)} %
          </Pill>
        </button>
      )}
      {loop.next_review_ms !== null && (
        <span className="chip">
          next look <b>{day(loop.next_review_ms, loop.at_ms)}</b>
        </span>
      )}
    </p>
  );
}
