import { describe, expect, it } from "vitest";
import { complete, written } from "../src/lib/complete";

const names = { metrics: ["auc", "val/loss", "loss"], params: ["lr", "lambda", "num_leaves"], tags: ["team"] };
const at = (text: string) => complete(text, text.length, names);

describe("what the query box offers", () => {
  it("names of the language and keys that runs have", () => {
    expect(at("run.st")).toEqual({ from: 0, options: ["run.status", "run.start"] });
    expect(at("run.params.lr < 1 and run.metrics.lo")).toEqual({ from: 22, options: ["run.metrics.loss", 'run.metrics["val/loss"]'] });
    expect(at("run.metrics.auc.m")?.options).toEqual(["run.metrics.auc.min", "run.metrics.auc.max"]);
    expect(at('run.metrics["val')?.options).toEqual(['run.metrics["val/loss"]']);
    expect(at("run.pa")?.options).toEqual(["run.params.", "run.parent"]);
  });
  it("the whole name for the beginning of a key", () => {
    expect(at("num")).toEqual({ from: 0, options: ["run.params.num_leaves"] });
    expect(written("params", "lambda")).toBe('run.params["lambda"]');
  });
  it("nothing inside a text, for what is whole, or for a letter", () => {
    expect(at('run.name == "lo')).toBeNull();
    expect(at("run.status")).toBeNull();
    expect(at("l")).toBeNull();
    expect(at("run.params.lr < 1 ")).toBeNull();
  });
});
