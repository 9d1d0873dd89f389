import type { Importance } from "../../lib/records";
import { number, percent } from "../../lib/format";

const MOST = 12;

/** What a model gained by each feature in training, or, where it keeps no such figure, how far each moves it. */
export function weightOf(one: Importance): number {
  return one.gain ?? one.permutation;
}

/** The features a model listens to most, as bars on one scale. */
export function Importances({ importances }: { importances: readonly Importance[] }) {
  const total = importances.reduce((sum, one) => sum + weightOf(one), 0) || 1;
  const sorted = [...importances].sort((a, b) => weightOf(b) - weightOf(a));
  const shown = sorted.slice(0, MOST);
  const most = (shown[0] && weightOf(shown[0])) || 1;
  const rest = sorted.slice(MOST).reduce((sum, one) => sum + weightOf(one), 0);
  return (
    <ul className="bars">
      {shown.map((one) => (
        <li key={one.feature}>
          <span className="mono">{one.feature}</span>
          <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden>
            <rect x={0} y={0} width={Math.max(0.5, (weightOf(one) / most) * 100)} height={8} />
          </svg>
          <span className="right">{percent(weightOf(one) / total)}</span>
          <span className="note right" title="mean change of the prediction when its values are shuffled">
            ± {number(one.permutation)}
          </span>
        </li>
      ))}
      {sorted.length > MOST && (
        <li className="quiet">
          <span>{sorted.length - MOST} others</span>
          <span />
          <span className="right">{percent(rest / total)}</span>
        </li>
      )}
    </ul>
  );
}
