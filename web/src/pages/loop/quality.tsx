// The year: what is served against what a model that never learned again would have done, decisions as marks.
import { memo, useState } from "react";
import type { Query } from "../../lib/query";
import type { Decision, QualityPoint, VariableStatus } from "../../lib/records";
import { spell } from "../../lib/describe";
import { count, day, number, percent, signed } from "../../lib/format";
import { area, extent, line, linear, nearest, padded, tickDigits, ticks, timeTicks, type Scale, type XY } from "../../lib/scale";
import { Answer, Card, Segments } from "../../components/basics";
import { useCursor, useDomain, usePointer, useSetCursor } from "../../components/timeline";
import { useWidth } from "../../components/use-width";
import { Marks } from "./marks";
import { QualityTable } from "./quality-table";

const LEFT = 44;
const RIGHT = 12;
const TOP = 20;
/** The lower edge of the plot; the months stand below it, the decisions below them. */
const FLOOR = 204;
const AXIS = 22;
/** Below this share of arrived labels a point is called immature rather than good or bad. */
const MATURE = 0.9;
/** So few points are drawn as points too, so that a first one is seen. */
const DOTS = 60;

interface Frame {
  points: readonly QualityPoint[];
  limit: number | null;
  width: number;
  x: Scale;
  y: Scale;
  values: number[];
}

function frameOf(all: readonly QualityPoint[], limit: number | null, width: number, domain: readonly [number, number]): Frame {
  const points = all.filter((p) => p.at_ms >= domain[0] && p.at_ms <= domain[1]);
  const range = extent([limit, ...points.flatMap((p) => [p.live, p.live_lo, p.live_hi, p.frozen])]) ?? [0, 1];
  const y = linear(padded(range, 0.06), [FLOOR, TOP]);
  return { points, limit, width, x: linear(domain, [LEFT, width - RIGHT]), y, values: ticks(padded(range, 0.06), 6) };
}

interface QualityProps {
  query: Query<QualityPoint[]>;
  decisions: readonly Decision[] | null;
  central: VariableStatus | null;
}

export function Quality({ query, decisions, central }: QualityProps) {
  const [view, setView] = useState<"chart" | "table">("chart");
  const measure = spell(central?.measure ?? "auc");
  return (
    <Card
      title="Quality of what is served"
      className="quality"
      aside={
        <>
          <Legend measure={measure} limit={central !== null} />
          <Segments
            label="Show as"
            value={view}
            options={[
              { value: "chart", label: "chart" },
              { value: "table", label: "months" },
            ]}
            onChange={setView}
          />
        </>
      }
    >
      <Answer query={query} lines={6}>
        {(points) =>
          points.length === 0 ? (
            <p className="quiet">No labels have arrived yet. The first point appears with them.</p>
          ) : view === "chart" ? (
            <QualityChart points={points} decisions={decisions ?? []} limit={central?.limit ?? null} measure={measure} />
          ) : (
            <QualityTable points={points} decisions={decisions} measure={measure} />
          )
        }
      </Answer>
    </Card>
  );
}

function Legend({ measure, limit }: { measure: string; limit: boolean }) {
  return (
    <div className="legend">
      <span>
        <i className="key live" />
        live
      </span>
      <span>
        <i className="key frozen" />
        had it never learned again
      </span>
      {limit && (
        <span>
          <i className="key limit" />
          limit
        </span>
      )}
      <span>{measure} on arrived labels, 90 % band</span>
    </div>
  );
}

interface ChartProps {
  points: readonly QualityPoint[];
  decisions: readonly Decision[];
  limit: number | null;
  measure: string;
}

function QualityChart({ points, decisions, limit, measure }: ChartProps) {
  const [ref, width] = useWidth<HTMLDivElement>(1000);
  const domain = useDomain();
  const frame = frameOf(points, limit, width, domain);
  const pointer = usePointer(LEFT, width - RIGHT);
  const cursor = useCursor();
  const setCursor = useSetCursor();
  const step = (event: React.KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined || event.target !== event.currentTarget) return;
    const here = cursor === null ? frame.points.length : nearest(frame.points, cursor, (p) => p.at_ms);
    const next = frame.points[Math.min(frame.points.length - 1, Math.max(0, here + by))];
    if (next) setCursor(next.at_ms);
    event.preventDefault();
  };
  return (
    <div
      className="quality-chart"
      ref={ref}
      tabIndex={0}
      role="group"
      aria-label={`${measure} over time. Left and right arrows move the cursor.`}
      onKeyDown={step}
      onBlur={() => setCursor(null)}
      {...pointer}
    >
      <Drawing points={points} limit={limit} width={width} from={domain[0]} to={domain[1]} />
      <Marks decisions={decisions} domain={domain} x={frame.x} width={width} left={LEFT} top={TOP} floor={FLOOR + AXIS} />
      <Readout frame={frame} measure={measure} />
    </div>
  );
}

const Drawing = memo(function Drawing(props: {
  points: readonly QualityPoint[];
  limit: number | null;
  width: number;
  from: number;
  to: number;
}) {
  const frame = frameOf(props.points, props.limit, props.width, [props.from, props.to]);
  const { points, x, y, limit, width } = frame;
  const digits = tickDigits(frame.values);
  const band = area(
    points.map((p) =>
      p.live_lo === null || p.live_hi === null ? null : { x: x(p.at_ms), lo: y(p.live_lo), hi: y(p.live_hi) },
    ),
  );
  const path = (pick: (p: QualityPoint) => number | null) =>
    line(
      points.map((p): XY | null => {
        const value = pick(p);
        return value === null ? null : [x(p.at_ms), y(value)];
      }),
    );
  return (
    <svg width={width} height={FLOOR + AXIS} aria-hidden>
      {frame.values.map((value) => (
        <g key={value}>
          <line className="grid" x1={LEFT} x2={width - RIGHT} y1={y(value)} y2={y(value)} />
          <text className="axis" x={LEFT - 8} y={y(value) + 4} textAnchor="end">
            {value.toFixed(digits)}
          </text>
        </g>
      ))}
      {timeTicks([props.from, props.to], Math.max(2, Math.floor(width / 84))).map(({ at, label }) => (
        <g key={at}>
          <line className="grid" x1={x(at)} x2={x(at)} y1={FLOOR} y2={FLOOR + 4} />
          <text className="axis" x={x(at)} y={FLOOR + 17} textAnchor={x(at) < LEFT + 14 ? "start" : x(at) > width - 20 ? "end" : "middle"}>
            {label}
          </text>
        </g>
      ))}
      <Immature frame={frame} />
      <path className="band" d={band} />
      {limit !== null && <line className="limit" x1={LEFT} x2={width - RIGHT} y1={y(limit)} y2={y(limit)} />}
      <path className="series frozen" d={path((p) => p.frozen)} />
      <path className="series live" d={path((p) => p.live)} />
      {(points.length <= DOTS ? points : points.slice(-1)).map(
        (p) => p.live !== null && <circle key={p.at_ms} className="series-dot" cx={x(p.at_ms)} cy={y(p.live)} r={2.4} />,
      )}
    </svg>
  );
});

/** Where labels are still on their way the chart says so instead of looking bad. */
function Immature({ frame }: { frame: Frame }) {
  const first = frame.points.findIndex((p, i) => p.mature < MATURE && frame.points.slice(i).every((q) => q.mature < MATURE));
  if (first < 0) return null;
  const point = frame.points[first] as QualityPoint;
  const from = Math.max(LEFT, frame.x(frame.points[first - 1]?.at_ms ?? point.at_ms));
  const to = frame.width - RIGHT;
  return (
    <g>
      <rect className="immature" x={from} y={TOP} width={Math.max(2, to - from)} height={FLOOR - TOP} />
      <text className="axis" x={to} y={TOP - 7} textAnchor="end">
        labels arriving
      </text>
    </g>
  );
}

function Readout({ frame, measure }: { frame: Frame; measure: string }) {
  const cursor = useCursor();
  const point = cursor === null ? undefined : frame.points[nearest(frame.points, cursor, (p) => p.at_ms)];
  if (cursor === null || point === undefined) return null;
  const at = frame.x(point.at_ms);
  const gap = point.live !== null && point.frozen !== null ? point.live - point.frozen : null;
  const left = at > frame.width / 2 ? at - 212 : at + 12;
  return (
    <>
      <svg className="over" width={frame.width} height={FLOOR} aria-hidden>
        <line className="cursor" x1={at} x2={at} y1={TOP} y2={FLOOR} />
        {point.frozen !== null && <circle className="cursor-dot frozen" cx={at} cy={frame.y(point.frozen)} r={3} />}
        {point.live !== null && <circle className="cursor-dot" cx={at} cy={frame.y(point.live)} r={3.5} />}
      </svg>
      <dl className="readout" style={{ left, top: TOP }} role="status">
        <div className="readout-head">
          <dt>{day(point.at_ms)}</dt>
          <dd>{count(point.n)} labelled</dd>
        </div>
        <div>
          <dt>
            <i className="key live" />
            live {measure}
          </dt>
          <dd>
            <b>{number(point.live)}</b>
            {point.live_lo !== null && point.live_hi !== null && (
              <span className="note"> ± {number((point.live_hi - point.live_lo) / 2)}</span>
            )}
          </dd>
        </div>
        {point.frozen !== null && (
          <div>
            <dt>
              <i className="key frozen" />
              never again
            </dt>
            <dd>{number(point.frozen)}</dd>
          </div>
        )}
        {gap !== null && (
          <div>
            <dt>gained</dt>
            <dd>{signed(gap)}</dd>
          </div>
        )}
        {point.mature < 0.995 && (
          <div>
            <dt>labels in</dt>
            <dd>{percent(point.mature, 0)}</dd>
          </div>
        )}
      </dl>
    </>
  );
}
