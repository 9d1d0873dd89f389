// What runs logged to be looked at: images, figures, histograms, tables, texts and sounds, by key and step.
import { basePath } from "./api";

export type MediaKind = "image" | "figure" | "histogram" | "table" | "text" | "audio";
/** An entry of `media/index.json`. */
export interface Media {
  path: string;
  kind: MediaKind;
  key: string;
  step: number;
  at_ms: number;
  caption: string;
  facts: Record<string, number | null>;
}
export interface Histogram {
  edges: number[];
  counts: number[];
}
export interface Sheet {
  columns: string[];
  rows: (string | number | boolean | null)[][];
}
/** Everything of one kind and key: what each run logged of it, in the order of steps. */
export interface MediaGroup {
  kind: MediaKind;
  key: string;
  steps: number[];
  byRun: Map<string, Media[]>;
}

export const MEDIA_INDEX = "media/index.json";
const KINDS: readonly MediaKind[] = ["image", "figure", "histogram", "table", "text", "audio"];

/** The address at which a run's file can be looked at. */
export function previewUrl(run: string, path: string, part?: "head" | "tail"): string {
  const parts = path.split("/").map(encodeURIComponent).join("/");
  return `${basePath}preview/${encodeURIComponent(run)}/${parts}${part ? `?part=${part}` : ""}`;
}

function isMedia(value: unknown): value is Media {
  const entry = value as Media | null;
  return typeof entry?.path === "string" && typeof entry.key === "string" && typeof entry.step === "number" && KINDS.includes(entry.kind);
}

/** The entries of an index; what is not one is left out, whoever wrote it. */
export function readIndex(text: string): Media[] {
  try {
    const found: unknown = JSON.parse(text);
    return Array.isArray(found) ? found.filter(isMedia).map((entry) => ({ ...entry, caption: entry.caption ?? "", facts: entry.facts ?? {} })) : [];
  } catch {
    return [];
  }
}

/** Groups by kind and key, images first; `indexes` are the entries of each run. */
export function groupMedia(indexes: ReadonlyMap<string, readonly Media[]>): MediaGroup[] {
  const groups = new Map<string, MediaGroup>();
  for (const [run, entries] of indexes) {
    for (const entry of entries) {
      const id = `${entry.kind}\n${entry.key}`;
      const group = groups.get(id) ?? { kind: entry.kind, key: entry.key, steps: [], byRun: new Map() };
      groups.set(id, group);
      group.byRun.set(run, [...(group.byRun.get(run) ?? []), entry]);
    }
  }
  for (const group of groups.values()) {
    for (const entries of group.byRun.values()) entries.sort((a, b) => a.step - b.step || a.at_ms - b.at_ms);
    group.steps = [...new Set([...group.byRun.values()].flat().map((entry) => entry.step))].sort((a, b) => a - b);
  }
  return [...groups.values()].sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || a.key.localeCompare(b.key));
}

/** What was there at a step: the last one not after it, else the first. */
export function atStep(entries: readonly Media[], step: number): Media | undefined {
  return entries.findLast((entry) => entry.step <= step) ?? entries[0];
}

/** Every step at which anything was logged, in order. */
export function allSteps(groups: readonly MediaGroup[]): number[] {
  return [...new Set(groups.flatMap((group) => group.steps))].sort((a, b) => a - b);
}

export type LineDiff = { mark: "same" | "added" | "gone"; text: string }[];
const MOST_LINES = 1500;

/** `next` line by line against `base` (longest common subsequence); null where the two are too long for it. */
export function diffLines(base: string, next: string): LineDiff | null {
  const a = base.split("\n");
  const b = next.split("\n");
  if (a.length > MOST_LINES || b.length > MOST_LINES) return null;
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const here = i * width + j;
      common[here] =
        a[i] === b[j] ? (common[here + width + 1] as number) + 1 : Math.max(common[here + width] as number, common[here + 1] as number);
    }
  }
  const lines: LineDiff = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ mark: "same", text: b[j] as string });
      i += 1;
      j += 1;
    } else if (i < a.length && (j >= b.length || (common[(i + 1) * width + j] as number) >= (common[i * width + j + 1] as number))) {
      lines.push({ mark: "gone", text: a[i] as string });
      i += 1;
    } else {
      lines.push({ mark: "added", text: b[j] as string });
      j += 1;
    }
  }
  return lines;
}
