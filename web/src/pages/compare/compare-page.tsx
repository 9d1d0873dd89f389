// Several runs beside each other: how they went, what led where, and only what tells them apart.
import { useMemo } from "react";
import type { Run } from "../../lib/records";
import { useVerb } from "../../lib/query";
import { commonKeys, diffRows } from "../../lib/diff";
import { lessIsBetter } from "../../lib/better";
import { spell } from "../../lib/describe";
import { number, plural } from "../../lib/format";
import { Link, path, setParams } from "../../lib/router";
import { Answer, Say } from "../../components/basics";
import { Icon } from "../../components/icon";
import { Page } from "../../components/page";
import { MediaSection } from "../media/media-section";
import { DiffTable } from "./diff-table";
import { look } from "./line-chart";
import { MetricSection } from "./metric-section";
import { ByGroup } from "./by-group";
import { Contour } from "./contour";
import { Parallel } from "./parallel";
import { Scatter } from "./scatter";

export default function ComparePage({ ids }: { ids: readonly string[] }) {
  const query = useVerb("tracking/get_runs", { ids: ids.slice(0, 500) });
  return (
    <Page title="Compare" trail={["Runs", "Compare"]}>
      <Answer query={query} lines={10}>
        {(runs) => <Compared runs={runs} asked={ids.length} />}
      </Answer>
    </Page>
  );
}

function Compared({ runs, asked }: { runs: readonly Run[]; asked: number }) {
  const told = useMemo(() => sentence(runs), [runs]);
  const gone = asked - runs.length;
  return (
    <>
      <Say then={gone > 0 ? `${plural(gone, "run")} of the address ${gone === 1 ? "does" : "do"} not exist.` : null}>{told}</Say>
      <ul className="run-chips" aria-label="Compared runs">
        {runs.map((run, slot) => (
          <li key={run.id}>
            <i className={`swatch ${look(slot)}`} />
            <Link to={path("runs", run.id)}>{run.name || run.id.slice(0, 8)}</Link>
            <button
              type="button"
              aria-label={`Leave out ${run.name || run.id}`}
              onClick={() => setParams({ compare: runs.filter((one) => one !== run).map((one) => one.id).join(",") })}
            >
              <Icon name="cross" size={12} />
            </button>
          </li>
        ))}
      </ul>
      <MetricSection runs={runs} />
      <Parallel runs={runs} />
      <div className="two pair">
        <ByGroup runs={runs} />
        <Scatter runs={runs} />
      </div>
      <Contour runs={runs} />
      {runs.length > 0 && <DiffTable runs={runs} />}
      <MediaSection runs={runs} />
    </>
  );
}

function sentence(runs: readonly Run[]): string {
  if (runs.length === 0) return "None of these runs exists.";
  const rows = diffRows(runs);
  const params = rows.filter((row) => row.group === "parameters");
  const differing = params.filter((row) => row.differs).length;
  const what = params.length === 0 ? "have no parameters" : differing === 0 ? "have the same parameters" : `differ in **${differing}** of ${plural(params.length, "parameter")}`;
  const many = runs.length === 1 ? "**1** run, compared with none." : `**${runs.length}** runs ${what}.`;
  const key = commonKeys(runs, (run) => run.metrics)[0];
  const row = rows.find((one) => one.group === "metrics" && one.key === key);
  const best = row && row.best >= 0 ? runs[row.best] : undefined;
  if (key === undefined || best === undefined) return many;
  return `${many} The ${lessIsBetter(key) ? "lowest" : "best"} ${spell(key)} is **${number(best.metrics[key], 4)}**, by ${best.name || best.id.slice(0, 8)}.`;
}
