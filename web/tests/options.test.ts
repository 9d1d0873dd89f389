import { describe, expect, it } from "vitest";
import type { Deployment } from "../src/lib/records";
import { alike, changed, changes, GROUPS, textsOf } from "../src/pages/deployments/options";
import { served } from "../src/pages/deployments/words";

const AS_BY_DEFAULT = {
  model: "m", routes: [], generation: 1, updated_ms: 0, key: "key", time: "time", sticky: "request", max_waiting: 2048, timeout_ms: 30_000, callers: [], rate_limit: 0,
  log_share: 1, redacted: [], min_replicas: 0, max_replicas: 1, idle_s: 0, canary: null, bandit: null, members: [],
} as Deployment; // prettier-ignore

describe("the options of a deployment", () => {
  it("stand empty in the form where nothing is set, and empty means that", () => {
    const texts = textsOf(AS_BY_DEFAULT);
    expect(Object.values(texts).filter(Boolean)).toEqual(["request"]);
    expect(changes(AS_BY_DEFAULT, texts)).toEqual({});
    expect(served(AS_BY_DEFAULT)).toEqual([]);
    const set: Deployment = { ...AS_BY_DEFAULT, timeout_ms: 500, log_share: 0.07, callers: ["ann"], key: "flight", sticky: "key" };
    const emptied = Object.fromEntries(Object.keys(texts).map((name) => [name, name === "sticky" ? "request" : " "])) as typeof texts;
    expect(changes(set, emptied)).toEqual({ timeout_ms: 30_000, log_share: 1, callers: [], key: "key", sticky: "request" });
  });
  it("come out as they went in", () => {
    const set: Deployment = { ...AS_BY_DEFAULT, max_waiting: 5, log_share: 0.07, rate_limit: 0.5, callers: ["ann", "web"], idle_s: 90, max_replicas: 4 };
    expect(textsOf(set)).toMatchObject({ max_waiting: "5", log_share: "7", rate_limit: "0.5", callers: "ann, web", idle_s: "90" });
    expect(changes(set, textsOf(set))).toEqual({});
  });
  it("go to the server as they are typed where they are no numbers: it says what is wrong", () => {
    expect(changes(AS_BY_DEFAULT, { ...textsOf(AS_BY_DEFAULT), timeout_ms: "5 s", rate_limit: "NaN", max_waiting: "-1" })).toEqual({ timeout_ms: "5 s", rate_limit: "NaN", max_waiting: -1 });
  });
  it("are said as they change", () => {
    expect(changed(AS_BY_DEFAULT, { timeout_ms: 500, rate_limit: 7, callers: ["ann"], log_share: 0.125 })).toBe("timeout_ms 30,000 → 500, callers all who may read → ann, rate_limit no limit → 7, log_share 100\u202f% → 12.5\u202f%");
    expect(changed({ ...AS_BY_DEFAULT, min_replicas: 2 }, { min_replicas: 0 })).toBe("min_replicas 2 → 0");
  });
  it("are other ones only where an option is, not where a share is", () => {
    expect(alike(AS_BY_DEFAULT, { ...AS_BY_DEFAULT, generation: 9, routes: [{ version: 2, role: "champion", weight: 1 }] })).toBe(true);
    expect(alike(AS_BY_DEFAULT, { ...AS_BY_DEFAULT, idle_s: 9 })).toBe(false);
  });
  it("all stand in the form", () => {
    const known = Object.keys(AS_BY_DEFAULT).filter((name) => !["model", "routes", "generation", "updated_ms", "canary", "bandit", "members"].includes(name));
    expect(GROUPS.flatMap((group) => group.fields.map((field) => field.name)).sort()).toEqual(known.sort());
  });
});
