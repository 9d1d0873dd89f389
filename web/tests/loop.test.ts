import { describe, expect, it } from "vitest";
import { gained, pageDomain, withDays } from "../src/pages/loop/loop-page";
import { fold } from "../src/pages/loop/decisions";
import { lanes } from "../src/pages/loop/marks";
import { evidenceValue } from "../src/pages/loop/evidence";
import { detailLines } from "../src/pages/loop/ring";
import { lacking, stateOf } from "../src/pages/loop/variables";
import { byMonth } from "../src/pages/loop/quality-table";
import type { Decision, DecisionKind, LoopStatus, QualityPoint } from "../src/lib/records";

const DAY = 86_400_000;
const loop = { sentence: "All hold.", at_ms: 100 * DAY, variables: [], central: null } as unknown as LoopStatus;
const point = (day: number, live: number | null, frozen: number | null, n = 100): QualityPoint => ({
  at_ms: day * DAY,
  n,
  live,
  live_lo: live,
  live_hi: live,
  frozen,
  mature: 1,
});
const decision = (id: string, kind: DecisionKind, day: number) => ({ id, kind, at_ms: day * DAY, champion: 1, challenger: 2 }) as Decision;

describe("what learning again was worth", () => {
  it("is the mean gap of the last four weeks, by labels", () => {
    const points = [point(1, 0.7, 0.9), point(90, 0.75, 0.7, 100), point(100, 0.75, 0.73, 300)];
    expect(gained(loop, points)).toContain("**+0.028 AUC** ahead of");
    expect(gained(loop, [point(99, 0.7, 0.72), point(100, 0.7, 0.72)])).toContain("**−0.020 AUC** behind");
  });
  it("is not told when it never learned, when nothing is known, or when it is told already", () => {
    expect(gained(loop, [point(99, 0.7, 0.7), point(100, 0.71, 0.71)])).toBeNull();
    expect(gained(loop, [])).toBeNull();
    expect(gained(loop, [point(100, null, null)])).toBeNull();
    const told = { ...loop, sentence: "v4 is ahead of a model that never learned again." };
    expect(gained(told, [point(100, 0.8, 0.7)])).toBeNull();
  });
  it("stands beside dates in words", () => {
    expect(withDays("Next review on 2013-11-14.")).toBe("Next review on 14 Nov 2013.");
  });
});

describe("the page's time", () => {
  it("spans everything known and ends at the status", () => {
    expect(pageDomain(loop, [point(10, 1, 1)], [decision("a", "wait", 5)], "all")).toEqual([5 * DAY, 100 * DAY]);
    expect(pageDomain(loop, [point(10, 1, 1)], [], "8w")).toEqual([44 * DAY, 100 * DAY]);
    const [from, to] = pageDomain({ ...loop, at_ms: 0 }, [], [], "all");
    expect(to - from).toBe(DAY);
  });
});

describe("decisions", () => {
  const quiet = [1, 2, 3, 4].map((day) => decision(`w${day}`, "wait", day)).reverse();
  it("fold long quiet stretches, never the newest and never the opened one", () => {
    const all = [decision("now", "wait", 9), decision("p", "promote", 8), ...quiet];
    expect(fold(all, "").map((item) => ("waits" in item ? item.waits.length : item.decision.id))).toEqual(["now", "p", 4]);
    expect(fold(all, "w2")).toHaveLength(6);
    expect(fold([], "")).toEqual([]);
  });
  it("stand beside each other on the chart, not on top", () => {
    const near = [1, 2, 3, 40].map((day) => decision(`d${day}`, "promote", day));
    const spots = lanes(near, (at) => at / DAY);
    expect(spots.map((spot) => spot.lane)).toEqual([0, 1, 2, 0]);
  });
  it("are told by month beside means weighted by labels", () => {
    const rows = byMonth([point(1, 0.7, 0.6, 100), point(2, 0.8, 0.6, 300), point(40, null, null)], [decision("p", "refuse", 40)]);
    expect(rows.map((row) => row.label)).toEqual(["Jan 1970", "Feb 1970"]);
    expect(rows[0]?.live).toBeCloseTo(0.775);
    expect(rows[1]?.live).toBeNull();
    expect(rows[1]?.decided).toEqual(["refused v2"]);
    expect(rows[0]?.decided).toEqual([]);
    expect(byMonth([point(1, 0.7, 0.6, 100)], null)[0]?.decided).toBeNull();
  });
});

describe("a variable at an earlier time", () => {
  const at = (value: number | null, lo: number | null, hi: number | null) => ({ at_ms: 0, value, lo, hi, n: 1, mature: 1 });
  it("has the state that the loop gave it then", () => {
    const auc = { measure: "auc", limit: 0.72, comparison: ">=" } as const;
    expect(stateOf(auc, at(0.75, 0.73, 0.77))).toBe("within");
    expect(stateOf(auc, at(0.73, 0.71, 0.75))).toBe("at_risk");
    expect(stateOf(auc, at(0.7, 0.69, 0.71))).toBe("out");
    expect(stateOf(auc, at(null, null, null))).toBe("unknown");
    const errors = { measure: "errors", limit: 0.001, comparison: "<=" } as const;
    expect(stateOf(errors, at(0, 0, 0.0026))).toBe("within");
    expect(stateOf(errors, at(0.0009, 0.0001, 0.003))).toBe("at_risk");
    expect(stateOf(errors, at(0.004, 0.002, 0.006))).toBe("out");
    const freshness = { measure: "freshness", limit: 7_200_000, comparison: "<=" } as const;
    expect(stateOf(freshness, at(6_000_000, null, null))).toBe("at_risk");
  });
});

describe("a variable that cannot be told yet", () => {
  it("says how much there is of what is needed", () => {
    expect(lacking({ measure: "auc", by: null, n: 4249, min_n: 10000 })).toBe("4,249 of 10,000 rows");
    expect(lacking({ measure: "errors", by: null, n: 7, min_n: 100 })).toBe("7 of 100 requests");
    expect(lacking({ measure: "auc", by: "carrier", n: 4249, min_n: 1000 })).toBe("4,249 rows in all");
  });
});

describe("the ring", () => {
  it("breaks long details at their dots", () => {
    expect(detailLines("49,674 rows · 54 s", 15)).toEqual(["49,674 rows", "54 s"]);
    expect(detailLines("v4 · p99 6 ms", 15)).toEqual(["v4 · p99 6 ms"]);
    expect(detailLines("", 15)).toEqual([""]);
    expect(detailLines("no pipeline is named", 15)).toEqual(["no pipeline is", "named"]);
  });
});

describe("evidence", () => {
  it("is told in the unit of what it speaks of", () => {
    const told = (kind: string, name: string, value: number) => evidenceValue({ kind, name }, value);
    expect(told("gap", "gap", 0.00042)).toBe("+0.000");
    expect(told("gap", "gap", -0.021)).toBe("−0.021");
    expect(told("variable", "latency_p99 <= 50ms over 7d", 1.39)).toBe("1.4 ms");
    expect(told("variable", "errors <= 0.1% over 7d", 0.001)).toBe("0.10\u202f%");
    expect(told("variable", "auc >= 0.68 over 14d", 0.793)).toBe("0.793");
    expect(told("age", "age", 42 * DAY)).toBe("42 days");
    expect(told("labels", "labels", 8583)).toBe("8,583");
    expect(evidenceValue({ kind: "gap", name: "gap" }, null)).toBe("");
  });
});
