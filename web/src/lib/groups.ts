// A metric by the values of a parameter: every run a point, and of each group its middle and its quartiles.
import type { Run } from "./records";
import { groupOf } from "./curves";

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

/** Groups in the order of their names, numbers as numbers; runs without the metric are left out. */
export function groupsOf(runs: readonly Run[], by: string, metric: string): Group[] {
  const found = new Map<string, Group["runs"]>();
  runs.forEach((run, slot) => {
    const value = run.metrics[metric];
    if (value == null) return;
    const name = groupOf(run, by);
    found.set(name, [...(found.get(name) ?? []), { run, value, slot }]);
  });
  return [...found]
    .map(([name, members]) => {
      const sorted = members.map((one) => one.value).sort((a, b) => a - b);
      return { name, runs: members, low: quantile(sorted, 0.25), median: quantile(sorted, 0.5), high: quantile(sorted, 0.75) };
    })
    .sort((a, b) => (Number.isFinite(Number(a.name)) && Number.isFinite(Number(b.name)) ? Number(a.name) - Number(b.name) : a.name.localeCompare(b.name)));
}

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
