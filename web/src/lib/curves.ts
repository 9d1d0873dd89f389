// From logged points to lines: smoothing, the axis they stand on, groups of runs as a middle and a band.
import { ApiError, get } from "./api";
import type { MetricCurve, Run } from "./records";

export type XAxis = "step" | "time" | "clock" | `m:${string}`;
export interface Curve {
  /** The run's id, or the name of its group. */
  id: string;
  label: string;
  slot: number;
  xs: number[];
  ys: (number | null)[];
  /** The smallest and largest around each point, where points were left out or runs were grouped. */
  band: { lo: number; hi: number }[] | null;
}

/** An exponential moving average that begins at the first value; 0 changes nothing, 0.99 is very smooth. */
export function smooth(values: readonly (number | null)[], weight: number): (number | null)[] {
  if (weight <= 0) return [...values];
  let mean = 0;
  let seen = 0;
  return values.map((value) => {
    if (value === null) return null;
    mean = weight * mean + (1 - weight) * value;
    seen += 1;
    return mean / (1 - weight ** seen); // without this the line would begin near zero
  });
}

/** The value that held at `at`: the last one not after it, or null before the first. `positions` rise. */
export function asOf(positions: readonly number[], values: readonly (number | null)[], at: number): number | null {
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((positions[middle] as number) <= at) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : (values[low - 1] ?? null);
}

/** Where each point of a curve stands; `other` is the same run's curve of the metric that is the axis. */
export function positions(curve: MetricCurve, axis: XAxis, start: number, other?: MetricCurve): (number | null)[] {
  if (axis === "step") return curve.steps;
  if (axis === "clock") return curve.at_ms;
  if (axis === "time") return curve.at_ms.map((at) => (at - start) / 1000);
  return other === undefined ? curve.steps.map(() => null) : curve.steps.map((step) => asOf(other.steps, other.values, step));
}

/** One line of a run, its points in the order of the axis. */
export function toCurve(run: Run, slot: number, curve: MetricCurve, axis: XAxis, weight: number, other?: MetricCurve): Curve {
  const at = positions(curve, axis, run.start_ms, other);
  const ys = smooth(curve.values, weight);
  const order = at.flatMap((x, i) => (x === null ? [] : [i])).sort((a, b) => (at[a] as number) - (at[b] as number));
  const banded = curve.low.length > 0;
  return {
    id: run.id,
    label: run.name || run.id.slice(0, 8),
    slot,
    xs: order.map((i) => at[i] as number),
    ys: order.map((i) => ys[i] ?? null),
    band: banded ? order.map((i) => ({ lo: curve.low[i] ?? NaN, hi: curve.high[i] ?? NaN })) : null,
  };
}

const GRID = 120;

/** The runs of a group as one line: their mean where they have begun and not ended, between smallest and largest. */
export function grouped(id: string, slot: number, curves: readonly Curve[]): Curve {
  const from = Math.min(...curves.map((c) => c.xs[0] ?? Infinity));
  const to = Math.max(...curves.map((c) => c.xs.at(-1) ?? -Infinity));
  const own = [...new Set(curves.flatMap((c) => c.xs))].sort((a, b) => a - b);
  const xs = own.length <= GRID ? own : Array.from({ length: GRID }, (_, i) => from + ((to - from) * i) / (GRID - 1));
  const ys: (number | null)[] = [];
  const band: { lo: number; hi: number }[] = [];
  for (const x of xs) {
    const here = curves
      .filter((c) => x <= (c.xs.at(-1) ?? -Infinity))
      .map((c) => asOf(c.xs, c.ys, x))
      .filter((y): y is number => y !== null);
    ys.push(here.length === 0 ? null : here.reduce((sum, y) => sum + y, 0) / here.length);
    band.push({ lo: Math.min(...here), hi: Math.max(...here) });
  }
  return { id, label: `${id} (${curves.length})`, slot, xs, ys, band };
}

/** Runs by the value of a parameter ("p:lr"), a tag ("t:team") or "experiment", in the order they come. */
export function groupOf(run: Run, by: string): string {
  if (by.startsWith("p:")) return run.params[by.slice(2)] ?? "not set";
  if (by.startsWith("t:")) return run.tags[by.slice(2)] ?? "not set";
  return run.experiment;
}

const SETTLE_MS = 90;
const POINTS = 60;
interface Wish {
  id: string;
  resolve: (curve: MetricCurve | null) => void;
  reject: (error: unknown) => void;
}
const wishes = new Map<string, Wish[]>();

/** A short curve for a table row; the rows that ask within a moment share one request. */
export function rowCurve(id: string, key: string): Promise<MetricCurve | null> {
  return new Promise((resolve, reject) => {
    const waiting = wishes.get(key);
    if (waiting !== undefined) {
      waiting.push({ id, resolve, reject });
      return;
    }
    wishes.set(key, [{ id, resolve, reject }]);
    window.setTimeout(() => void answer(key), SETTLE_MS);
  });
}

async function answer(key: string): Promise<void> {
  const asked = wishes.get(key) ?? [];
  wishes.delete(key);
  const ids = [...new Set(asked.map((wish) => wish.id))].slice(0, 200);
  try {
    const curves = await get("tracking/metric_curves", { ids, keys: [key], points: POINTS });
    const found = new Map(curves.map((curve) => [curve.run, curve]));
    for (const wish of asked) wish.resolve(found.get(wish.id) ?? null);
  } catch (error) {
    for (const wish of asked) wish.reject(error instanceof ApiError ? error : new Error(String(error)));
  }
}
