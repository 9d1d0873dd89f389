// From values to pixels: scales, ticks and SVG paths. Pure functions, no DOM.
import { DAY, HOUR, MINUTE, month } from "./format";

export type Extent = readonly [number, number];
export type Scale = (value: number) => number;

/** A straight line from a domain to a range; a domain of one value maps to the middle. */
export function linear([d0, d1]: Extent, [r0, r1]: Extent): Scale {
  const span = d1 - d0;
  if (span === 0) return () => (r0 + r1) / 2;
  return (value) => r0 + ((value - d0) / span) * (r1 - r0);
}

/** The inverse of `linear`, kept inside the domain. */
export function invert([d0, d1]: Extent, [r0, r1]: Extent, pixel: number): number {
  const share = r1 === r0 ? 0 : (pixel - r0) / (r1 - r0);
  return d0 + Math.min(1, Math.max(0, share)) * (d1 - d0);
}

/** Smallest and largest of the finite values, or null when there is none. */
export function extent(values: Iterable<number | null | undefined>): Extent | null {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null || value === undefined || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

/** The extent with room above and below; a flat one gets a visible height. */
export function padded([low, high]: Extent, share = 0.08): Extent {
  const room = (high - low || Math.abs(high) || 1) * share;
  return [low - room, high + room];
}

/** Round values inside an extent, about `wanted` of them. */
export function ticks([low, high]: Extent, wanted = 5): number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const raw = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(raw));
  const excess = raw / power;
  const step = power * (excess >= Math.sqrt(50) ? 10 : excess >= Math.sqrt(10) ? 5 : excess >= Math.SQRT2 ? 2 : 1);
  const found: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) {
    found.push(Number((i * step).toPrecision(12)));
  }
  return found;
}

/** How many decimals tell neighbouring ticks apart. */
export function tickDigits(values: readonly number[]): number {
  for (let digits = 0; digits < 8; digits += 1) {
    if (values.every((value) => Math.abs(value - Number(value.toFixed(digits))) < 1e-9)) return digits;
  }
  return 3;
}

export interface TimeTick {
  at: number;
  label: string;
}

/** Calendar ticks in UTC: months, days, hours or minutes, as many as fit. */
export function timeTicks([from, to]: Extent, wanted: number): TimeTick[] {
  const span = to - from;
  if (span > wanted * 20 * DAY || span > 75 * DAY) return monthTicks(from, to, wanted);
  const steps = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY];
  const step = steps.find((size) => span / size <= wanted) ?? 14 * DAY;
  const found: TimeTick[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push({ at, label: timeLabel(at, step) });
  return found;
}

function timeLabel(at: number, step: number): string {
  const time = new Date(at);
  if (step >= DAY || at % DAY === 0) return `${time.getUTCDate()} ${month(at)}`;
  return `${String(time.getUTCHours()).padStart(2, "0")}:${String(time.getUTCMinutes()).padStart(2, "0")}`;
}

function monthTicks(from: number, to: number, wanted: number): TimeTick[] {
  const first = new Date(from);
  const months = (to - from) / (30.4 * DAY);
  const stride = [1, 2, 3, 6, 12, 24, 60].find((size) => months / size <= wanted) ?? 120;
  const found: TimeTick[] = [];
  for (let i = Math.ceil(first.getUTCMonth() / stride) * stride; ; i += stride) {
    const at = Date.UTC(first.getUTCFullYear(), i, 1);
    if (at > to) return found;
    if (at < from) continue;
    const january = new Date(at).getUTCMonth() === 0;
    found.push({ at, label: january ? String(new Date(at).getUTCFullYear()) : month(at) });
  }
}

export type XY = readonly [number, number];

/** A line through the points; a null breaks it. */
export function line(points: readonly (XY | null)[]): string {
  let path = "";
  points.forEach((point, i) => {
    if (point === null) return;
    const before = points[i - 1] ?? null;
    path += `${before === null ? "M" : "L"}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    if (before === null && (points[i + 1] ?? null) === null) path += DOT;
  });
  return path;
}
/** A value with none beside it, which would be a line of no length: a ring so small that it is a dot. */
const DOT = "m-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0";

/** A line that holds each value until the next point, for things that change at a moment. */
export function steps(points: readonly XY[]): string {
  let path = "";
  points.forEach(([x, y], i) => {
    path += i === 0 ? `M${x.toFixed(1)} ${y.toFixed(1)}` : `H${x.toFixed(1)}V${y.toFixed(1)}`;
  });
  return path;
}

/** The area between lower and upper edges, as one closed path per unbroken stretch. */
export function area(points: readonly ({ x: number; lo: number; hi: number } | null)[]): string {
  const stretches: { x: number; lo: number; hi: number }[][] = [[]];
  for (const point of points) {
    if (point === null) stretches.push([]);
    else stretches.at(-1)?.push(point);
  }
  return stretches
    .filter((stretch) => stretch.length > 1)
    .map((stretch) => {
      const up = stretch.map((p): XY => [p.x, p.hi]);
      const down = [...stretch].reverse().map((p): XY => [p.x, p.lo]);
      return `${line([...up, ...down])}Z`;
    })
    .join("");
}

/** The index of the item whose position is nearest to `at`; -1 when there is none. Items are in order. */
export function nearest<T>(items: readonly T[], at: number, position: (item: T) => number): number {
  let low = 0;
  let high = items.length - 1;
  if (high < 0) return -1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (position(items[middle] as T) < at) low = middle + 1;
    else high = middle;
  }
  const before = items[low - 1];
  const here = items[low] as T;
  return before !== undefined && at - position(before) <= position(here) - at ? low - 1 : low;
}
