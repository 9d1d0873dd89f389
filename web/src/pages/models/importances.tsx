import type { Importance } from "../../lib/records";
import { percent } from "../../lib/format";

const MOST = 12;

/** The features a model gains most from, as bars on one scale. */
export function Importances({ importances }: { importances: readonly Importance[] }) {
  const total = importances.reduce((sum, one) => sum + (one.gain ?? 0), 0) || 1;
  const sorted = [...importances].sort((a, b) => (b.gain ?? 0) - (a.gain ?? 0));
  const shown = sorted.slice(0, MOST);
  const most = (shown[0]?.gain ?? 1) || 1;
  const rest = sorted.slice(MOST).reduce((sum, one) => sum + (one.gain ?? 0), 0);
  return (
    <ul className="bars">
      {shown.map((one) => (
        <li key={one.feature}>
          <span className="mono">{one.feature}</span>
          <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden>
            <rect x={0} y={0} width={Math.max(0.5, ((one.gain ?? 0) / most) * 100)} height={8} />
          </svg>
          <span className="right">{percent((one.gain ?? 0) / total)}</span>
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
