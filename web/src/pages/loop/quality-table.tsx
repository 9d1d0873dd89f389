// The same story as figures, month by month.
import type { Decision, QualityPoint } from "../../lib/records";
import { verdict } from "../../lib/describe";
import { count, month, number, signed } from "../../lib/format";

interface MonthRow {
  key: string;
  label: string;
  n: number;
  live: number | null;
  frozen: number | null;
  /** Null until the decisions are known: a month without any is another thing. */
  decided: string[] | null;
}

const keyOf = (ms: number) => new Date(ms).toISOString().slice(0, 7);

/** Averages by calendar month (UTC), each point weighted by its labels. */
export function byMonth(points: readonly QualityPoint[], decisions: readonly Decision[] | null): MonthRow[] {
  const groups = new Map<string, QualityPoint[]>();
  for (const point of points) {
    const key = keyOf(point.at_ms);
    groups.set(key, [...(groups.get(key) ?? []), point]);
  }
  return [...groups].map(([key, group]) => {
    const mean = (pick: (p: QualityPoint) => number | null) => {
      const known = group.filter((p) => pick(p) !== null && p.n > 0);
      const weight = known.reduce((sum, p) => sum + p.n, 0);
      return weight === 0 ? null : known.reduce((sum, p) => sum + (pick(p) ?? 0) * p.n, 0) / weight;
    };
    const acts = decisions?.filter((d) => keyOf(d.at_ms) === key && d.kind !== "wait");
    const first = group[0] as QualityPoint;
    return {
      key,
      label: `${month(first.at_ms)} ${key.slice(0, 4)}`,
      n: group.reduce((sum, p) => sum + p.n, 0),
      live: mean((p) => p.live),
      frozen: mean((p) => p.frozen),
      decided: acts?.map(verdict).reverse() ?? null,
    };
  });
}

interface Props {
  points: readonly QualityPoint[];
  decisions: readonly Decision[] | null;
  measure: string;
}

export function QualityTable(props: Props) {
  const rows = byMonth(props.points, props.decisions);
  return (
    <div className="scroll-x" tabIndex={0} role="group" aria-label="Months">
      <table className="plain">
        <thead>
          <tr>
            <th scope="col">month</th>
            <th scope="col" className="right">
              labels
            </th>
            <th scope="col" className="right">
              {props.measure} live
            </th>
            <th scope="col" className="right">
              never again
            </th>
            <th scope="col" className="right">
              gained
            </th>
            <th scope="col">decided</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <th scope="row">{row.label}</th>
              <td className="right">{count(row.n)}</td>
              <td className="right">
                <b>{number(row.live)}</b>
              </td>
              <td className="right">{number(row.frozen)}</td>
              <td className="right">
                {row.live !== null && row.frozen !== null ? signed(row.live - row.frozen) : "–"}
              </td>
              <td className="quiet">{row.decided === null ? "…" : row.decided.join(", ") || "wait"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
