// Lines of several runs on one axis; the axis and its cursor are those of the page (see Timeline).
import { memo, useId, useMemo } from "react";
import { area, extent, line, linear, nearest, padded, tickDigits, ticks, timeTicks, type Extent, type XY } from "../../lib/scale";
import { brief, clock, duration, number } from "../../lib/format";
import type { Curve, XAxis } from "../../lib/curves";
import { Card } from "../../components/basics";
import { useCursor, useDomain, usePointer, useStretch } from "../../components/timeline";
import { useWidth } from "../../components/use-width";

const HEIGHT = 190;
const LEFT = 48;
const RIGHT = 18;
const BOTTOM = 22;
const TOLD = 6;

/** A line's colour and, beyond eight of them, its dashes: by class, so that themes hold. */
export const look = (slot: number) => `line-${slot % 8} dash-${Math.floor(slot / 8) % 3}`;

interface LineChartProps {
  title: string;
  curves: readonly Curve[];
  axis: XAxis;
  log: boolean;
  /** Whether fewer is better: the readout names the best first. */
  less: boolean;
  /** Whether the readout names each line: groups stand in no list above. */
  named: boolean;
  /** Whether the values are amounts, whose axis begins at nothing. */
  amounts?: boolean;
}

export function LineChart({ title, curves, axis, log, less, named, amounts = false }: LineChartProps) {
  const [ref, width] = useWidth<HTMLDivElement>(420);
  const pointer = usePointer(LEFT, width - RIGHT);
  return (
    <Card title={title} aside={<Readout curves={curves} less={less} axis={axis} named={named} />} className="line-card">
      <div ref={ref} className="line-chart" {...pointer}>
        <Drawing title={title} curves={curves} axis={axis} log={log} width={width} amounts={amounts} />
        <Cursor curves={curves} log={log} width={width} amounts={amounts} />
        <Stretch width={width} />
      </div>
    </Card>
  );
}

/** Sees the largest values a line or its band takes there; on a logarithmic scale only what lies above zero. */
function rangeOf(curves: readonly Curve[], log: boolean, domain: Extent, amounts: boolean): Extent {
  const all = curves.flatMap((c) => {
    const there = c.xs.flatMap((x, i) => (x >= domain[0] && x <= domain[1] ? [i] : []));
    return there.flatMap((i) => [c.ys[i] ?? null, ...(c.band?.[i] === undefined ? [] : [c.band[i].lo, c.band[i].hi])]);
  });
  if (amounts) return [0, 1.08 * (extent(all)?.[1] || 1)];
  const found = extent(log ? all.filter((y) => y !== null && y > 0) : all) ?? [log ? 0.1 : 0, 1];
  return log ? [found[0] / 1.1, found[1] * 1.1] : padded(found);
}

function scaleOf(curves: readonly Curve[], log: boolean, domain: Extent, amounts: boolean) {
  const range = rangeOf(curves, log, domain, amounts);
  const on = (y: number) => (log ? Math.log10(Math.max(y, range[0])) : y);
  const straight = linear([on(range[0]), on(range[1])], [HEIGHT - BOTTOM, 8]);
  return { range, y: (value: number) => straight(on(value)) };
}

function valueTicks(range: Extent, log: boolean): number[] {
  if (!log || range[1] / range[0] < 20) return ticks(range, 4).filter((value) => !log || value > 0);
  const powers = [];
  for (let e = Math.ceil(Math.log10(range[0])); 10 ** e <= range[1]; e += 1) powers.push(10 ** e);
  return powers;
}

interface DrawingProps {
  title: string;
  curves: readonly Curve[];
  axis: XAxis;
  log: boolean;
  width: number;
  amounts: boolean;
}

const Drawing = memo(function Drawing({ title, curves, axis, log, width, amounts }: DrawingProps) {
  const domain = useDomain();
  const x = linear(domain, [LEFT, width - RIGHT]);
  const { range, y } = useMemo(() => scaleOf(curves, log, domain, amounts), [curves, log, domain, amounts]);
  const values = valueTicks(range, log);
  const digits = tickDigits(values);
  const below = axisTicks(domain, axis, width);
  const inside = useId();
  return (
    <svg width={width} height={HEIGHT} role="img" aria-label={`${title}: ${curves.length} lines`}>
      <clipPath id={inside}>
        <rect x={LEFT - 3} y={0} width={Math.max(0, width - LEFT - RIGHT + 6)} height={HEIGHT} />
      </clipPath>
      {values.map((value) => (
        <g key={value}>
          <line className="grid" x1={LEFT} x2={width - RIGHT} y1={y(value)} y2={y(value)} />
          <text className="axis" x={LEFT - 6} y={y(value) + 4} textAnchor="end">
            {log || digits > 5 ? brief(String(Number(value.toPrecision(3)))) : value.toFixed(digits)}
          </text>
        </g>
      ))}
      {below.map(({ at, label }) => (
        <text key={at} className="axis" x={x(at)} y={HEIGHT - 5} textAnchor="middle">
          {label}
        </text>
      ))}
      {curves.map((c) => (
        <g key={c.id} className={`run-line ${look(c.slot)}`} clipPath={`url(#${inside})`}>
          {c.band && (
            <path
              className="run-band"
              d={area(c.xs.map((at, i) => bandAt(c, i, x(at), y)))}
            />
          )}
          <path className="run-path" d={line(c.xs.map((at, i): XY | null => ((v) => (v === null ? null : [x(at), y(v)]))(c.ys[i] ?? null)))} />
          {c.xs.length === 1 && c.ys[0] != null && <circle className="run-dot" cx={x(c.xs[0] as number)} cy={y(c.ys[0])} r={3} />}
        </g>
      ))}
    </svg>
  );
});

function bandAt(curve: Curve, i: number, x: number, y: (value: number) => number) {
  const band = curve.band?.[i];
  if (!band || !Number.isFinite(band.lo) || !Number.isFinite(band.hi)) return null;
  return { x, lo: y(band.lo), hi: y(band.hi) };
}

function axisTicks(domain: Extent, axis: XAxis, width: number): { at: number; label: string }[] {
  const wanted = Math.max(2, Math.floor(width / 90));
  if (axis === "clock") return timeTicks(domain, wanted);
  const values = ticks(domain, wanted);
  const digits = tickDigits(values);
  return values.map((at) => ({ at, label: axis === "time" ? duration(at * 1000) : digits > 5 ? number(at) : at.toFixed(digits) }));
}

const at = (curve: Curve, x: number | null): number | null => {
  if (x === null) return curve.ys.findLast((y) => y !== null) ?? null;
  const last = curve.xs.at(-1);
  const first = curve.xs[0];
  if (last === undefined || first === undefined || x < first || x > last) return null;
  return curve.ys[nearest(curve.xs, x, (one) => one)] ?? null;
};

function Readout({ curves, less, axis, named }: { curves: readonly Curve[]; less: boolean; axis: XAxis; named: boolean }) {
  const x = useCursor();
  const told = curves
    .map((curve) => ({ curve, value: at(curve, x) }))
    .filter((one): one is { curve: Curve; value: number } => one.value !== null)
    .sort((a, b) => (less ? a.value - b.value : b.value - a.value));
  const where = x === null ? "" : axis === "step" ? `step ${number(Math.round(x))}` : axis === "time" ? duration(x * 1000) : axis === "clock" ? clock(x) : "";
  return (
    <span className="line-readout">
      {where && <span className="note">{where}</span>}
      {told.slice(0, curves.length > 1 ? TOLD : 1).map(({ curve, value }) => (
        <span key={curve.id} title={curve.label}>
          {curves.length > 1 && <i className={`swatch ${look(curve.slot)}`} />}
          {named && <span className="note">{curve.label}</span>}
          <b className="value">{named ? short(value) : number(value, curves.length > 1 ? 3 : 4)}</b>
        </span>
      ))}
      {told.length > TOLD && <span className="note">and {told.length - TOLD}</span>}
    </span>
  );
}

/** Three digits: enough for what is read at a glance and changes every few seconds. */
function short(value: number): string {
  return Math.abs(value) >= 100 || !Number.isFinite(value) ? number(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** What the pointer has drawn over so far. */
function Stretch({ width }: { width: number }) {
  const drawn = useStretch();
  const scale = linear(useDomain(), [LEFT, width - RIGHT]);
  if (drawn === null) return null;
  const [from, to] = [scale(drawn[0]), scale(drawn[1])];
  return (
    <svg className="over" width={width} height={HEIGHT} aria-hidden>
      <rect className="drawn" x={from} y={4} width={Math.max(0, to - from)} height={HEIGHT - BOTTOM - 4} />
    </svg>
  );
}

function Cursor({ curves, log, width, amounts }: { curves: readonly Curve[]; log: boolean; width: number; amounts: boolean }) {
  const x = useCursor();
  const domain = useDomain();
  const { y } = useMemo(() => scaleOf(curves, log, domain, amounts), [curves, log, domain, amounts]);
  if (x === null) return null;
  const scale = linear(domain, [LEFT, width - RIGHT]);
  return (
    <svg className="over" width={width} height={HEIGHT} aria-hidden>
      <line className="cursor" x1={scale(x)} x2={scale(x)} y1={4} y2={HEIGHT - BOTTOM} />
      {curves.map((curve) => {
        const value = at(curve, x);
        return value === null ? null : (
          <circle key={curve.id} className={`run-dot ${look(curve.slot)}`} cx={scale(x)} cy={y(value)} r={3} />
        );
      })}
    </svg>
  );
}
