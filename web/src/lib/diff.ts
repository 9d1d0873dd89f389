// What tells runs apart: each parameter, metric, tag and fact as one row, and whether it differs.
import type { Run } from "./records";
import { lessIsBetter } from "./better";

export type DiffGroup = "metrics" | "parameters" | "tags" | "facts";
export interface DiffRow {
  group: DiffGroup;
  key: string;
  values: (string | number | null)[];
  differs: boolean;
  /** Which run has the best value of a metric; -1 where none stands out. */
  best: number;
}

function rows(group: DiffGroup, runs: readonly Run[], pick: (run: Run) => Record<string, string | number | null>): DiffRow[] {
  const keys = new Set(runs.flatMap((run) => Object.keys(pick(run))));
  return [...keys].sort((a, b) => a.localeCompare(b, "en", { numeric: true })).map((key) => {
    const values = runs.map((run) => pick(run)[key] ?? null);
    const differs = values.some((value) => value !== values[0]);
    return { group, key, values, differs, best: group === "metrics" && differs ? bestOf(key, values) : -1 };
  });
}

function bestOf(key: string, values: readonly (string | number | null)[]): number {
  const sign = lessIsBetter(key) ? -1 : 1;
  let best = -1;
  values.forEach((value, i) => {
    if (typeof value !== "number") return;
    if (best < 0 || sign * value > sign * (values[best] as number)) best = i;
  });
  return best;
}

const code = (run: Run) => ({ experiment: run.experiment, state: run.status, source: run.source, code: run.code_version.slice(0, 12) });

/** Every row, the groups in the order one asks: what came out, what went in, how it is labelled, where from. */
export function diffRows(runs: readonly Run[]): DiffRow[] {
  return [
    ...rows("metrics", runs, (run) => run.metrics),
    ...rows("parameters", runs, (run) => run.params),
    ...rows("tags", runs, (run) => run.tags),
    ...rows("facts", runs, code),
  ];
}

export interface Dimension {
  /** "p:lr" or "m:auc". */
  key: string;
  name: string;
  /** Numbers from smallest to largest, or the words that occur. */
  words: string[] | null;
  range: [number, number];
  log: boolean;
}

/** A run's place on a dimension: a number, or the index of its word; null when it has none. */
export function place(run: Run, dimension: Dimension): number | null {
  const name = dimension.key.slice(2);
  if (dimension.key.startsWith("m:")) return run.metrics[name] ?? null;
  const text = run.params[name];
  if (text === undefined) return null;
  return dimension.words === null ? Number(text) : dimension.words.indexOf(text);
}

const numeric = (text: string) => text.trim() !== "" && Number.isFinite(Number(text));

/** A parameter or metric as an axis; logarithmic where the values span more than two powers of ten. */
export function dimension(key: string, runs: readonly Run[]): Dimension | null {
  const name = key.slice(2);
  const metric = key.startsWith("m:");
  const texts = metric ? [] : runs.flatMap((run) => run.params[name] ?? []);
  const words = metric || texts.every(numeric) ? null : [...new Set(texts)].sort();
  const values = words
    ? words.map((_, i) => i)
    : metric
      ? runs.flatMap((run) => run.metrics[name] ?? [])
      : texts.map(Number);
  if (values.length === 0) return null;
  const range: [number, number] = [Math.min(...values), Math.max(...values)];
  return { key, name, words, range, log: words === null && range[0] > 0 && range[1] / range[0] >= 100 };
}

const MOST_AXES = 8;

/** Whether an axis has two places at least; a value that some runs lack is no difference to draw. */
const spread = ({ range: [low, high] }: Dimension) => low < high;

/** The axes worth drawing without being asked: parameters that differ (not free text), then the metrics, best known first. */
export function dimensions(runs: readonly Run[]): Dimension[] {
  const differing = diffRows(runs).filter((row) => row.differs);
  const keys = (group: DiffGroup, prefix: string) =>
    differing.filter((row) => row.group === group).map((row) => prefix + row.key);
  const params = keys("parameters", "p:")
    .map((key) => dimension(key, runs))
    .filter((axis): axis is Dimension => axis !== null && spread(axis) && (axis.words === null || axis.words.length <= 12));
  const metrics = keys("metrics", "m:")
    .map((key) => dimension(key, runs))
    .filter((axis): axis is Dimension => axis !== null && spread(axis));
  return [...params.slice(0, MOST_AXES - Math.min(2, metrics.length)), ...metrics.slice(0, 2)];
}

/** A share from 0 to 1 along a dimension. */
export function share(value: number, { range: [low, high], log }: Dimension): number {
  if (low === high) return 0.5;
  return log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
}

/** The keys most runs have, most frequent first, then by name. */
export function commonKeys<T>(runs: readonly T[], pick: (run: T) => object): string[] {
  const seen = new Map<string, number>();
  for (const run of runs) for (const key of Object.keys(pick(run))) seen.set(key, (seen.get(key) ?? 0) + 1);
  return [...seen.keys()].sort((a, b) => (seen.get(b) ?? 0) - (seen.get(a) ?? 0) || a.localeCompare(b));
}
