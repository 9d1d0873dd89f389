// Small charts that stand in table rows.
import { memo } from "react";
import { area, extent, linear, line, nearest, padded, type Extent, type XY } from "../lib/scale";
import type { Point } from "../lib/records";
import { useCursor, useDomain, usePointer } from "./timeline";
import { useWidth } from "./use-width";

const HEIGHT = 38;

/** The history of an essential variable: its band, its line and its limit, on the page's time axis. */
export function History({ points, limit, label }: { points: readonly Point[]; limit: number; label: string }) {
  const [ref, width] = useWidth<HTMLDivElement>(186);
  const pointer = usePointer(2, width - 2);
  const domain = useDomain();
  return (
    <div className="spark" ref={ref} {...pointer}>
      <HistoryDrawing points={points} limit={limit} width={width} label={label} from={domain[0]} to={domain[1]} />
      <HistoryCursor points={points} limit={limit} width={width} />
    </div>
  );
}

function scalesOf(points: readonly Point[], limit: number, width: number, domain: Extent) {
  const seen = points.filter((p) => p.at_ms >= domain[0]);
  const range = extent([limit, ...seen.flatMap((p) => [p.value, p.lo, p.hi])]) ?? [limit - 1, limit + 1];
  return { x: linear(domain, [2, width - 2]), y: linear(padded(range, 0.06), [HEIGHT - 2, 2]), seen };
}

const HistoryDrawing = memo(function HistoryDrawing(props: {
  points: readonly Point[];
  limit: number;
  width: number;
  label: string;
  from: number;
  to: number;
}) {
  const { points, limit, width } = props;
  const { x, y, seen } = scalesOf(points, limit, width, [props.from, props.to]);
  const band = area(
    seen.map((p) => (p.lo === null || p.hi === null ? null : { x: x(p.at_ms), lo: y(p.lo), hi: y(p.hi) })),
  );
  const path = line(seen.map((p): XY | null => (p.value === null ? null : [x(p.at_ms), y(p.value)])));
  const last = seen.findLast((p) => p.value !== null);
  return (
    <svg width={width} height={HEIGHT} role="img" aria-label={props.label}>
      <path className="band" d={band} />
      <line className="limit" x1={2} x2={width - 2} y1={y(limit)} y2={y(limit)} />
      <path className="series" d={path} />
      {last && <circle className="series-dot" cx={x(last.at_ms)} cy={y(last.value ?? 0)} r={2} />}
    </svg>
  );
});

function HistoryCursor({ points, limit, width }: { points: readonly Point[]; limit: number; width: number }) {
  const at = useCursor();
  const domain = useDomain();
  if (at === null) return null;
  const { x, y, seen } = scalesOf(points, limit, width, domain);
  const point = seen[nearest(seen, at, (p) => p.at_ms)];
  return (
    <svg className="over" width={width} height={HEIGHT} aria-hidden>
      <line className="cursor" x1={x(at)} x2={x(at)} y1={0} y2={HEIGHT} />
      {point?.value != null && <circle className="cursor-dot" cx={x(point.at_ms)} cy={y(point.value)} r={2.5} />}
    </svg>
  );
}

/** A bare line of values in order; null breaks it. */
export const Spark = memo(function Spark(props: { values: readonly (number | null)[]; width?: number; height?: number; label: string }) {
  const { width = 72, height = 20 } = props;
  const range = extent(props.values);
  if (range === null || props.values.length < 2) return null;
  const x = linear([0, props.values.length - 1], [1.5, width - 3]);
  const y = linear(range, [height - 3, 3]);
  const last = props.values.at(-1);
  return (
    <svg className="tiny" width={width} height={height} role="img" aria-label={props.label}>
      <path className="series" d={line(props.values.map((v, i) => (v === null ? null : [x(i), y(v)])))} />
      {last != null && <circle className="series-dot" cx={x(props.values.length - 1)} cy={y(last)} r={1.8} />}
    </svg>
  );
});
