import { describe, expect, it } from "vitest";
import { heightAt, strips } from "../src/lib/contour";

const corners = [
  { x: 0, y: 0, z: 0 },
  { x: 1, y: 0, z: 1 },
  { x: 0, y: 1, z: 1 },
  { x: 1, y: 1, z: 2 },
];

describe("a surface through points", () => {
  it("goes through every point and between them", () => {
    for (const { x, y, z } of corners) expect(heightAt(corners, x, y)).toBeCloseTo(z, 5);
    const between = heightAt(corners, 0.2, 0.1) ?? NaN;
    expect(between > 0 && between < 1).toBe(true);
  });
  it("claims nothing where nobody has been near", () => {
    expect(heightAt(corners, 0.5, 0.5)).toBeNull();
    const covered = strips(corners, 20, 20, 8).reduce((sum, strip) => sum + strip.cells, 0);
    expect(covered > 50 && covered < 350).toBe(true);
  });
  it("is told in levels from the lowest to the highest", () => {
    const found = strips(corners, 20, 20, 8);
    expect(found[0]).toMatchObject({ column: 0, row: 0, level: 0 });
    expect(found.at(-1)).toMatchObject({ row: 19, level: 7 });
    expect(found.every(({ column, cells, level }) => column + cells <= 20 && level >= 0 && level < 8)).toBe(true);
    expect(strips([{ x: 0.5, y: 0.5, z: 3 }], 4, 4, 8).every((strip) => strip.level === 0)).toBe(true);
  });
});
