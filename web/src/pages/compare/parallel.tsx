// Each run as a line across the parameters that differ and the metrics that came of them.
import { useMemo, useState } from "react";
import type { Run } from "../../lib/records";
import { dimensions, place, share, type Dimension } from "../../lib/diff";
import { spell } from "../../lib/describe";
import { clipped } from "../../lib/flow";
import { brief, number } from "../../lib/format";
import { line, type XY } from "../../lib/scale";
import { navigate, path } from "../../lib/router";
import { Card } from "../../components/basics";
import { useWidth } from "../../components/use-width";
import { look } from "./line-chart";

const HEIGHT = 250;
const TOP = 26;
const BOTTOM = 22;
const SIDE = 54;

const LEAST = 76;
const BY_END = 8;

type Span = [number, number];

export function Parallel({ runs }: { runs: readonly Run[] }) {
  const [ref, width] = useWidth<HTMLDivElement>(900);
  const all = useMemo(() => dimensions(runs), [runs]);
  // On a narrow page fewer stand beside each other; the metrics at the end stay.
  const room = Math.max(2, Math.floor(width / LEAST));
  const axes = useMemo(() => (all.length <= room ? all : [...all.slice(0, Math.max(0, room - 2)), ...all.slice(-2)]), [all, room]);
  const [spans, setSpans] = useState<Record<string, Span>>({});
  const [over, setOver] = useState<string | null>(null);
  if (axes.length < 2 || runs.length < 2) return null;
  const x = (i: number) => SIDE + (i * (width - 2 * SIDE)) / (axes.length - 1);
  const y = (part: number) => HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
  const parts = runs.map((run) => axes.map((axis) => ((at) => (at === null ? null : share(at, axis)))(place(run, axis))));
  const kept = parts.map((row) =>
    axes.every((axis, i) => {
      const span = spans[axis.key];
      const part = row[i] ?? null;
      return span === undefined || (part !== null && part >= span[0] && part <= span[1]);
    }),
  );
  // Many lines are told apart by where they end, few by who they are.
  const shades = runs.length > BY_END;
  const ink = (slot: number) => {
    const end = parts[slot]?.at(-1);
    return shades ? (end == null ? "ramp-none" : `ramp-${Math.round(end * 7)}`) : look(slot);
  };
  const narrowed = Object.keys(spans).length > 0;
  return (
    <Card
      title="Parameters to metrics"
      aside={
        narrowed ? (
          <button type="button" className="ghost" onClick={() => setSpans({})}>
            {kept.filter(Boolean).length} of {runs.length} runs: show all
          </button>
        ) : (
          `${shades ? `coloured by ${spell(axes.at(-1)?.name ?? "")}; ` : ""}drag along an axis to keep only what lies there`
        )
      }
    >
      <div ref={ref}>
        <svg width={width} height={HEIGHT} className="parallel" role="group" aria-label={`${runs.length} runs across ${axes.length} axes`}>
          {runs.map((run, slot) => {
            const row = parts[slot] ?? [];
            const quiet = !kept[slot] || (over !== null && over !== run.id);
            return (
              <path
                key={run.id}
                className={`run-path ${ink(slot)} ${quiet ? "quiet-line" : ""} ${over === run.id ? "strong" : ""}`}
                d={line(row.map((part, i): XY | null => (part === null ? null : [x(i), y(part)])))}
                onPointerEnter={() => setOver(run.id)}
                onPointerLeave={() => setOver(null)}
                onClick={() => navigate(path("runs", run.id))}
              >
                <title>{run.name || run.id}</title>
              </path>
            );
          })}
          {axes.map((axis, i) => (
            <Axis
              key={axis.key}
              axis={axis}
              x={x(i)}
              room={Math.max(6, Math.floor((x(1) - x(0)) / 7))}
              y={y}
              span={spans[axis.key]}
              onSpan={(span) => setSpans((now) => ({ ...without(now, axis.key), ...(span ? { [axis.key]: span } : {}) }))}
            />
          ))}
        </svg>
      </div>
    </Card>
  );
}

function without(spans: Record<string, Span>, key: string): Record<string, Span> {
  return Object.fromEntries(Object.entries(spans).filter(([one]) => one !== key));
}

interface AxisProps {
  axis: Dimension;
  x: number;
  /** The letters there is room for. */
  room: number;
  y: (part: number) => number;
  span: Span | undefined;
  onSpan: (span: Span | null) => void;
}

function Axis({ axis, x, room, y, span, onSpan }: AxisProps) {
  const [from, setFrom] = useState<number | null>(null);
  const partAt = (event: React.PointerEvent<SVGElement>) => {
    const box = event.currentTarget.ownerSVGElement?.getBoundingClientRect();
    const pixel = event.clientY - (box?.top ?? 0);
    return Math.min(1, Math.max(0, (y(0) - pixel) / (y(0) - y(1))));
  };
  const name = axis.key.startsWith("m:") ? spell(axis.name) : axis.name;
  return (
    <g className="parallel-axis">
      <line className="axis-line" x1={x} x2={x} y1={y(0)} y2={y(1)} />
      <text className="axis-name" x={x} y={14} textAnchor="middle">
        {clipped(name, Math.min(18, room))}
        {axis.log && <tspan className="axis"> log</tspan>}
      </text>
      {axis.words === null ? (
        <>
          <text className="axis" x={x + 6} y={y(1) + 4}>{number(axis.range[1])}</text>
          <text className="axis" x={x + 6} y={y(0) + 4}>{number(axis.range[0])}</text>
        </>
      ) : (
        axis.words.map((word, i) => (
          <text key={word} className="axis" x={x + 6} y={y(share(i, axis)) + 4}>{brief(word).slice(0, 14)}</text>
        ))
      )}
      {span && <rect className="axis-span" x={x - 6} width={12} y={y(span[1])} height={Math.max(2, y(span[0]) - y(span[1]))} />}
      <rect
        className="axis-grip"
        x={x - 10}
        width={20}
        y={y(1)}
        height={y(0) - y(1)}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setFrom(partAt(event));
        }}
        onPointerMove={(event) => {
          if (from === null) return;
          const to = partAt(event);
          onSpan([Math.min(from, to), Math.max(from, to)]);
        }}
        onPointerUp={(event) => {
          // A press without a drag clears the axis.
          if (from !== null && Math.abs(partAt(event) - from) < 0.02) onSpan(null);
          setFrom(null);
        }}
      />
    </g>
  );
}
