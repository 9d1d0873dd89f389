// How the runs divide, as buttons: a press keeps only those of that state or experiment.
import type { ReactNode } from "react";
import type { RunFacets, RunStatus } from "../../lib/records";
import { count } from "../../lib/format";
import { RunState } from "../../components/basics";

interface FacetsProps {
  facets: RunFacets;
  status: string;
  experiment: string;
  onStatus: (status: string) => void;
  onExperiment: (experiment: string) => void;
  /** What stands behind them. */
  children?: ReactNode;
}
const EXPERIMENTS = 5;

export function Facets({ facets, status, experiment, onStatus, onExperiment, children }: FacetsProps) {
  const experiments = Object.entries(facets.experiments);
  const near = experiments.filter(([name], i) => i < EXPERIMENTS || name === experiment);
  const others = experiments.filter(([name]) => !near.some(([one]) => one === name));
  return (
    <div className="facets" role="group" aria-label="How they divide">
      {(Object.entries(facets.statuses) as [RunStatus, number][]).map(([name, many]) => (
        <button key={name} type="button" aria-pressed={status === name} onClick={() => onStatus(status === name ? "" : name)}>
          <RunState status={name} /> <span className="num">{count(many)}</span>
        </button>
      ))}
      {experiments.length > 1 && <span className="facet-gap" aria-hidden />}
      {experiments.length > 1 &&
        near.map(([name, many]) => (
          <button key={name} type="button" aria-pressed={experiment === name} onClick={() => onExperiment(experiment === name ? "" : name)}>
            {name} <span className="num">{count(many)}</span>
          </button>
        ))}
      {others.length > 0 && (
        <select aria-label="Another experiment" value="" onChange={(event) => onExperiment(event.target.value)}>
          <option value="">{others.length} more…</option>
          {others.map(([name, many]) => (
            <option key={name} value={name}>
              {name} ({count(many)})
            </option>
          ))}
        </select>
      )}
      {children}
    </div>
  );
}
