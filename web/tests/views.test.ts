import { describe, expect, it } from "vitest";
import { commonKeys, diffRows, dimension, dimensions, place, share } from "../src/lib/diff";
import { asOf, grouped, smooth, toCurve } from "../src/lib/curves";
import { csvLine, parseCsv } from "../src/lib/csv";
import { serverColumns, serverOrder } from "../src/pages/runs/use-runs";
import { fuzzy } from "../src/lib/fuzzy";
import { layered } from "../src/lib/layout";
import { area, extent, line, linear, invert, nearest, tickDigits, ticks, timeTicks } from "../src/lib/scale";
import { madeOnce } from "../src/components/graph";
import { brief } from "../src/lib/format";
import type { Lineage, Run } from "../src/lib/records";

const run = (over: Partial<Run>): Run => ({
  id: "1",
  experiment: "flights",
  name: "amber-1",
  status: "finished",
  start_ms: 0,
  end_ms: 1000,
  params: { lr: "0.1", optimiser: "adam" },
  metrics: { auc: 0.76 },
  tags: { team: "delay" },
  parent_id: null,
  kind: "run",
  source: "train.py",
  code_version: "",
  error: null,
  ...over,
});

describe("what tells runs apart", () => {
  const runs = [
    run({ id: "a", params: { lr: "0.001", opt: "adam", seed: "1" }, metrics: { auc: 0.7, loss: 0.5 } }),
    run({ id: "b", params: { lr: "0.1", opt: "sgd", seed: "1" }, metrics: { auc: 0.8, loss: 0.6 } }),
  ];
  it("marks rows that differ, and the best of a metric by its kind", () => {
    const rows = diffRows(runs);
    expect(rows.filter((row) => row.differs).map((row) => row.key)).toEqual(["auc", "loss", "lr", "opt"]);
    expect(rows.find((row) => row.key === "auc")?.best).toBe(1);
    expect(rows.find((row) => row.key === "loss")?.best).toBe(0);
    expect(rows.find((row) => row.key === "seed")?.differs).toBe(false);
    expect(diffRows([...runs, run({ params: {} })]).find((row) => row.key === "seed")?.differs).toBe(true);
  });
  it("chooses axes that differ, logarithmic where values span powers of ten", () => {
    expect(dimensions(runs).map((axis) => axis.key)).toEqual(["p:lr", "p:opt", "m:auc", "m:loss"]);
    const lr = dimension("p:lr", [...runs, run({ params: { lr: "0.01" } })]);
    expect(lr?.log).toBe(true);
    expect(lr && share(0.01, lr)).toBeCloseTo(0.5);
    const opt = dimension("p:opt", runs);
    expect(opt?.words).toEqual(["adam", "sgd"]);
    expect(opt && place(runs[1] as Run, opt)).toBe(1);
    expect(opt && place(run({ params: {} }), opt)).toBe(null);
  });
});

describe("curves", () => {
  const logged = (over: object) => ({
    run: "1", key: "auc", points: 3, steps: [0, 1, 2], at_ms: [1000, 2000, 5000], values: [1, null, 3], low: [], high: [], ...over,
  });
  it("smooths from the first value on and leaves gaps", () => {
    expect(smooth([1, null, 3], 0)).toEqual([1, null, 3]);
    const soft = smooth([2, 2, null, 2], 0.9);
    expect(soft.map((v) => v && Number(v.toFixed(9)))).toEqual([2, 2, null, 2]);
  });
  it("knows what held at a place", () => {
    expect([-1, 0, 0.5, 1, 9].map((x) => asOf([0, 1], [5, 6], x))).toEqual([null, 5, 5, 6, 6]);
  });
  it("stands on steps, on the time since the start, or on another metric in its order", () => {
    expect(toCurve(run({ start_ms: 1000 }), 0, logged({}), "time", 0).xs).toEqual([0, 1, 4]);
    const other = logged({ key: "epoch", steps: [1, 2], values: [20, 10] });
    const curve = toCurve(run({}), 0, logged({}), "m:epoch", 0, other);
    expect([curve.xs, curve.ys]).toEqual([[10, 20], [3, null]]);
  });
  it("groups runs as their mean between smallest and largest, ending with the longest", () => {
    const line = (id: string, xs: number[], ys: number[]) => ({ id, label: id, slot: 0, xs, ys, band: null });
    const group = grouped("adam", 2, [line("a", [0, 1], [1, 3]), line("b", [0, 2], [3, 5])]);
    expect(group.xs).toEqual([0, 1, 2]);
    expect(group.ys).toEqual([2, 3, 5]);
    expect(group.band?.[0]).toEqual({ lo: 1, hi: 3 });
    expect(group.label).toBe("adam (2)");
  });
});

describe("comma-separated text", () => {
  it("keeps quotes, commas and lines inside fields", () => {
    expect(parseCsv('a,b\n"x, ""y""\nz",2\r\n')).toEqual([["a", "b"], ['x, "y"\nz', "2"]]);
    expect(parseCsv("a\tb\n1\t2")).toEqual([["a", "b"], ["1", "2"]]);
    expect(parseCsv("1\n2\n3", 2)).toEqual([["1"], ["2"]]);
  });
  it("is read back as it was written, and never run as a formula", () => {
    const fields = ['he said "no"', "two\nlines", "a,b", "plain"];
    expect(parseCsv(csvLine(fields))).toEqual([fields]);
    expect(csvLine(["=1+1", "-0.5", -0.5, null, "@x"])).toBe("'=1+1,-0.5,-0.5,,'@x");
    for (const run of ["-1+cmd|' /C calc'!A0", "+1+1", "-.5*A1", "\uff1d1+1", " =1+1", "\u00a0@x", "-", "-1e5+2", "|x"]) {
      expect(parseCsv(csvLine([run]))).toEqual([[`'${run}`]]);
    }
    for (const run of ["\t=1", "\r=1", "\n=1"]) expect(csvLine([run])).toMatch(/^"?'/);
    for (const plain of ["-1e-5", "+.5", "-3.", "1-2", "a=1", "lr=0.1", ""]) expect(csvLine([plain])).toBe(plain);
  });
});

describe("what the server is asked", () => {
  it("names columns and orders as it does", () => {
    expect(["-m:auc", "n:loss", "-x:auc", "p:lr", "t:team", "-start", "duration"].map(serverOrder)).toEqual([
      '-run.metrics["auc"]', 'run.metrics["loss"].min', '-run.metrics["auc"].max', 'run.params["lr"]', 'run.tags["team"]',
      "-run.start", "run.duration",
    ]);
    expect(serverColumns(["m:auc", "x:auc", "p:lr"])).toEqual(["metrics.auc", "params.lr"]);
  });
  it("ranks keys by how many runs have them", () => {
    const runs = [run({ metrics: { rows: 1 } }), run({ metrics: { auc: 1, rows: 1 } })];
    expect(commonKeys(runs, (one) => one.metrics)).toEqual(["rows", "auc"]);
  });
});

describe("a recorded number", () => {
  it("is shortened only when it is long", () => {
    expect(brief("0.05349383864573863")).toBe("0.053494");
    expect(brief("0.1")).toBe("0.1");
    expect(brief("1368057600000")).toBe("1368057600000");
    expect(brief("v1.2.3456789")).toBe("v1.2.3456789");
  });
});

describe("the palette", () => {
  it("prefers whole words at the start", () => {
    const score = (text: string) => fuzzy("fl", text) ?? -1;
    expect(score("flights")).toBeGreaterThan(score("flight-delay"));
    expect(score("flight-delay")).toBeGreaterThan(score("useful list"));
    expect(fuzzy("xyz", "flights")).toBeNull();
    expect(fuzzy("fd", "flight-delay")).not.toBeNull();
  });
});

describe("layout of a lineage", () => {
  const nodes = ["a", "b", "c", "d"].map((id) => ({ id }));
  it("puts what was read left of what was made", () => {
    const edges = [
      { source: "a", target: "c" },
      { source: "b", target: "c" },
      { source: "c", target: "d" },
      { source: "gone", target: "d" },
    ];
    const layer = new Map(layered(nodes, edges).map((placed) => [placed.node.id, placed.layer]));
    for (const { source, target } of edges.slice(0, 3)) {
      expect(layer.get(source)).toBeLessThan(layer.get(target) ?? 0);
    }
  });
  it("ends and keeps every node apart when there is a cycle", () => {
    const edges = [
      { source: "a", target: "b" },
      { source: "b", target: "c" },
      { source: "c", target: "a" },
      { source: "d", target: "d" },
    ];
    const placed = layered(nodes, edges);
    expect(new Set(placed.map((one) => `${one.layer}/${one.row}`)).size).toBe(4);
    expect(placed.filter((one) => one.node.id !== "d").map((one) => one.layer)).toEqual([0, 1, 2]);
  });
  it("lets a run make what it also read back", () => {
    const node = (id: string, run_id: string | null) => ({ id, run_id }) as Lineage["nodes"][number];
    const edges = [
      { source: "table", target: "run" },
      { source: "run", target: "table" },
      { source: "other", target: "run" },
    ];
    const lineage = { nodes: [node("run", "r"), node("table", null), node("other", null)], edges, truncated: false };
    expect(madeOnce(lineage)).toEqual([edges[1], edges[2]]);
  });
});

describe("scales", () => {
  it("invert each other inside the domain", () => {
    const scale = linear([10, 20], [0, 200]);
    expect(invert([10, 20], [0, 200], scale(13.5))).toBeCloseTo(13.5);
    expect(invert([10, 20], [0, 200], -50)).toBe(10);
    expect(linear([5, 5], [0, 100])(5)).toBe(50);
  });
  it("give round ticks that lie inside and can be told apart", () => {
    expect(ticks([0.694, 0.796], 5)).toEqual([0.7, 0.72, 0.74, 0.76, 0.78]);
    expect(tickDigits([0.7, 0.72])).toBe(2);
    expect(ticks([3, 3])).toEqual([3]);
    for (const value of ticks([-1e6, 2.5e6], 4)) expect(Math.abs(value)).toBeLessThanOrEqual(2.5e6);
  });
  it("tick months, days and hours in UTC", () => {
    const year = timeTicks([Date.UTC(2013, 2, 2), Date.UTC(2013, 10, 10)], 12).map((tick) => tick.label);
    expect(year).toEqual(["Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov"]);
    const days = timeTicks([Date.UTC(2013, 2, 2), Date.UTC(2013, 2, 5)], 6).map((tick) => tick.label);
    expect(days).toContain("3 Mar");
    expect(timeTicks([0, 1], 5)).toHaveLength(1);
  });
  it("break lines and bands where nothing was measured", () => {
    expect(line([[0, 0], [1, 1], null, [3, 3]])).toBe("M0.0 0.0L1.0 1.0M3.0 3.0m-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0");
    expect(area([{ x: 0, lo: 0, hi: 1 }, null, { x: 2, lo: 0, hi: 1 }])).toBe("");
    expect(extent([null, NaN, 3, undefined, 1])).toEqual([1, 3]);
    expect(extent([null])).toBeNull();
  });
  it("find the nearest point", () => {
    const at = [0, 10, 20, 40];
    expect(nearest(at, 29, (x) => x)).toBe(2);
    expect(nearest(at, 31, (x) => x)).toBe(3);
    expect(nearest(at, -5, (x) => x)).toBe(0);
    expect(nearest(at, 500, (x) => x)).toBe(3);
    expect(nearest([], 1, (x: number) => x)).toBe(-1);
  });
});
