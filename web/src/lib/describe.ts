// How an essential variable and its values are said in words.
import type { DecisionKind, LoopState, State } from "./records";
import { DAY, duration, number, percent } from "./format";

const SPELLED: Record<string, string> = {
  auc: "AUC",
  pr_auc: "PR AUC",
  mae: "MAE",
  rmse: "RMSE",
  psi: "PSI",
  f1: "F1",
  log_loss: "log loss",
  logloss: "log loss",
  onnx: "ONNX",
};

/** A measure's or metric's name as a person writes it: "calibration_error" → "calibration error". */
export function spell(name: string): string {
  const known = SPELLED[name];
  if (known !== undefined) return known;
  return name
    .split(/[_\s]+/)
    .map((word) => SPELLED[word] ?? word)
    .join(" ");
}

export type Unit = "ms" | "share" | "plain";

/** The unit a measure's values are recorded in. */
export function unitOf(measure: string): Unit {
  if (/^(latency|freshness)|_ms$/.test(measure)) return "ms";
  if (/^(errors|missing)$|_share$/.test(measure)) return "share";
  return "plain";
}

/** A value with its unit: 6 → "6 ms", 0.001 → "0.10 %", 0.742 → "0.742". */
export function inUnit(value: number | null, unit: Unit): string {
  if (value === null) return "–";
  if (unit === "ms") return duration(value);
  if (unit === "share") return percent(value, 2);
  return number(value);
}

/** A limit as it was meant: "≥ 0.72". Trailing zeros a person did not write are left out. */
export function limitText(comparison: ">=" | "<=", limit: number, unit: Unit): string {
  const sign = comparison === ">=" ? "≥" : "≤";
  if (unit === "ms") return `${sign} ${duration(limit)}`;
  if (unit === "share") return `${sign} ${Number((limit * 100).toPrecision(6))}\u202f%`;
  return `${sign} ${Number(limit.toPrecision(6))}`;
}

/** Half the interval's width as "± 0.008", or both ends when they are far from even; "" when there is none. */
export function intervalText(value: number | null, lo: number | null, hi: number | null, unit: Unit): string {
  if (value === null || lo === null || hi === null || lo === hi) return "";
  const below = value - lo;
  const above = hi - value;
  const even = Math.max(below, above) <= 1.25 * Math.min(below, above);
  if (even) return `± ${inUnit((hi - lo) / 2, unit)}`;
  return `${inUnit(lo, unit)} to ${inUnit(hi, unit)}`;
}

/** A window as words: 14 days, 1 hour. */
export function windowText(ms: number | null): string {
  if (ms === null) return "";
  if (ms % DAY === 0) return ms === DAY ? "1 day" : `${ms / DAY} days`;
  if (ms === 3_600_000) return "1 hour";
  return duration(ms);
}

export const STATE_WORDS: Record<State | LoopState, string> = {
  holding: "holding",
  within: "within",
  at_risk: "at risk",
  out: "out",
  unknown: "unknown",
};

export type Tone = "ok" | "warn" | "bad" | "quiet" | "accent";

export const STATE_TONES: Record<State | LoopState, Tone> = {
  holding: "ok",
  within: "ok",
  at_risk: "warn",
  out: "bad",
  unknown: "quiet",
};

export const DECISIONS: Record<DecisionKind, { word: string; tone: Tone }> = {
  wait: { word: "wait", tone: "quiet" },
  fix_data: { word: "fix data", tone: "warn" },
  collect: { word: "collect", tone: "accent" },
  retrain: { word: "retrain", tone: "accent" },
  promote: { word: "promoted", tone: "ok" },
  refuse: { word: "refused", tone: "bad" },
  canary: { word: "canary", tone: "accent" },
  roll_back: { word: "rolled back", tone: "bad" },
};

/** The verdict with the version it is about: "promoted v4". */
export function verdict(decision: { kind: DecisionKind; champion: number | null; challenger: number | null }): string {
  const { word } = DECISIONS[decision.kind];
  const about = ["promote", "refuse", "canary", "roll_back"].includes(decision.kind) ? decision.challenger : null;
  return about === null ? word : `${word} v${about}`;
}

export interface Piece {
  text: string;
  strong: boolean;
}

/**
 * Cuts a sentence so that its few figures can be set in bold. Explicit `**marks**` win;
 * otherwise versions and signed or decimal figures, three at most.
 */
export function emphasise(sentence: string, most = 3): Piece[] {
  const marked = sentence.split(/\*\*(.+?)\*\*/);
  if (marked.length > 1) return marked.map((text, i) => ({ text, strong: i % 2 === 1 })).filter((p) => p.text !== "");
  const figure = /(?<![\w.])(v\d+\b|[+\u2212-]\d[\d.,]*(?:\s(?:AUC|%))?|\d+\.\d+(?: ± [\d.]*\d)?)/g;
  const pieces: Piece[] = [];
  let last = 0;
  let found = 0;
  for (const match of sentence.matchAll(figure)) {
    if (found === most) break;
    found += 1;
    pieces.push({ text: sentence.slice(last, match.index), strong: false }, { text: match[0], strong: true });
    last = match.index + match[0].length;
  }
  pieces.push({ text: sentence.slice(last), strong: false });
  return pieces.filter((piece) => piece.text !== "");
}
