// A metric by the values of a parameter: every run a point, and of each group its middle and its quartiles.
import type { Run } from "./records";
import { groupOf } from "./curves";
import { diffRows } from "./diff";

const MOST_KEYS = 40;
/** A number with more values than this is told in spans of as many runs each. */
const MOST_VALUES = 12;
const SPANS = 8;

export interface Group {
  name: string;
  runs: { run: Run; value: number; slot: number }[];
  low: number;
  median: number;
  high: number;
}

/** The value below which a share of sorted values lies, between neighbours in proportion. */
export function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  const [a, b] = [sorted[below] ?? NaN, sorted[Math.min(below + 1, sorted.length - 1)] ?? NaN];
  return a + (b - a) * (at - below);
}

/** Groups in the order of their names, numbers as numbers, many numbers as spans; runs without the metric are left out. */
export function groupsOf(runs: readonly Run[], by: string, metric: string): Group[] {
  const found = new Map<string, Group["runs"]>();
  runs.forEach((run, slot) => {
    const value = run.metrics[metric];
    if (value == null) return;
    const name = groupOf(run, by);
    found.set(name, [...(found.get(name) ?? []), { run, value, slot }]);
  });
  return [...inSpans(found)]
    .map(([name, members]) => {
      const sorted = members.map((one) => one.value).sort((a, b) => a - b);
      return { name, runs: members, low: quantile(sorted, 0.25), median: quantile(sorted, 0.5), high: quantile(sorted, 0.75) };
    })
    .sort((a, b) => {
      const [first, second] = [begin(a.name), begin(b.name)];
      return Number.isFinite(first) && Number.isFinite(second) ? first - second : a.name.localeCompare(b.name);
    });
}

/** Numbers of many values in spans of about as many runs each; anything else as it is. */
function inSpans(groups: ReadonlyMap<string, Group["runs"]>): ReadonlyMap<string, Group["runs"]> {
  const values = [...groups.keys()];
  if (values.length <= MOST_VALUES || !values.every((name) => name.trim() !== "" && Number.isFinite(Number(name)))) return groups;
  values.sort((a, b) => Number(a) - Number(b));
  const most = [...groups.values()].reduce((sum, runs) => sum + runs.length, 0) / SPANS;
  const spans: { first: string; last: string; runs: Group["runs"] }[] = [];
  let seen = 0;
  for (const name of values) {
    const own = groups.get(name) ?? [];
    const open = spans.at(-1);
    if (open === undefined || seen >= most * spans.length) spans.push({ first: name, last: name, runs: own });
    else Object.assign(open, { last: name, runs: [...open.runs, ...own] });
    seen += own.length;
  }
  return new Map(spans.map(({ first, last, runs }) => [first === last ? first : `${short(first)}–${short(last)}`, runs]));
}

/** Where a group's numbers begin. */
const begin = (name: string) => Number(name.replace(/(.)–.*/, "$1"));
const short = (text: string) => String(Number(Number(text).toPrecision(3)));

/** How much of a metric's variance the groups tell, from 0 to 1; null where there is nothing to tell of. */
export function told(groups: readonly Group[]): number | null {
  const all = groups.flatMap((group) => group.runs.map((one) => one.value));
  if (groups.length < 2 || all.length <= groups.length) return null;
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  const whole = all.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  if (whole === 0) return null;
  const within = groups.reduce((sum, group) => {
    const own = group.runs.reduce((s, one) => s + one.value, 0) / group.runs.length;
    return sum + group.runs.reduce((s, one) => s + (one.value - own) ** 2, 0);
  }, 0);
  return 1 - within / whole;
}

/** The parameters that differ, those that tell most of the metric first. */
export function ranked(runs: readonly Run[], metric: string): { by: string; share: number | null }[] {
  return diffRows(runs)
    .filter((row) => row.group === "parameters" && row.differs)
    .slice(0, MOST_KEYS)
    .map((row) => ({ by: `p:${row.key}`, share: told(groupsOf(runs, `p:${row.key}`, metric)) }))
    .sort((a, b) => (b.share ?? -1) - (a.share ?? -1));
}
