// A surface through scattered points: between them by their distance, and nothing where nobody has been near.

/** A point of the unit square and the height found there. */
export interface Height {
  x: number;
  y: number;
  z: number;
}
/** Cells of one level beside each other, in cells from the lower left. */
export interface Strip {
  column: number;
  row: number;
  cells: number;
  level: number;
}

/** Farther from every point than this, in sides of the square, nothing is claimed. */
const FAR = 0.3;

/** The height at a place: the mean of all, each weighed by one over its distance to the third power (Shepard, 1968). */
export function heightAt(points: readonly Height[], x: number, y: number): number | null {
  let [sum, weights, nearest] = [0, 0, Infinity];
  for (const point of points) {
    const apart = (point.x - x) ** 2 + (point.y - y) ** 2;
    nearest = Math.min(nearest, apart);
    const weight = 1 / Math.max(apart, 1e-9) ** 1.5;
    sum += weight * point.z;
    weights += weight;
  }
  return nearest > FAR * FAR ? null : sum / weights;
}

/** The surface in so many cells, each at one of `levels` between the lowest and the highest point. */
export function strips(points: readonly Height[], columns: number, rows: number, levels: number): Strip[] {
  const heights = points.map((point) => point.z);
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const found: Strip[] = [];
  for (let row = 0; row < rows; row += 1) {
    let open: Strip | null = null;
    for (let column = 0; column < columns; column += 1) {
      const z = heightAt(points, (column + 0.5) / columns, (row + 0.5) / rows);
      const level = z === null ? null : high === low ? 0 : Math.min(levels - 1, Math.floor(((z - low) / (high - low)) * levels));
      if (level === null) open = null;
      else if (open !== null && open.level === level) open.cells += 1;
      else found.push((open = { column, row, cells: 1, level }));
    }
  }
  return found;
}
