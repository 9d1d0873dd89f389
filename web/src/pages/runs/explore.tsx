// The runs of a filter as pictures instead of lines: no run needs to be chosen first.
import { useVerb } from "../../lib/query";
import type { RunFilter } from "../../lib/api";
import { count } from "../../lib/format";
import { Answer } from "../../components/basics";
import { MetricSection } from "../compare/metric-section";
import { ByGroup } from "../compare/by-group";
import { Contour } from "../compare/contour";
import { Parallel } from "../compare/parallel";
import { Scatter } from "../compare/scatter";
import { MediaSection } from "../media/media-section";
import { serverOrder } from "./use-runs";

const MOST = 200;

interface ExploreProps {
  filter: RunFilter;
  order: string;
  total: number | undefined;
  show: "charts" | "media";
}

export function Explore({ filter, order, total, show }: ExploreProps) {
  const found = useVerb("tracking/search_runs", { ...filter, order_by: serverOrder(order), limit: MOST });
  return (
    <Answer query={found} lines={8}>
      {({ runs }) => (
        <>
          {total !== undefined && total > runs.length && (
            <p className="note">
              The first {count(runs.length)} of {count(total)} runs, in the order of the table.
            </p>
          )}
          {runs.length === 0 && <p className="quiet none">No run fits.</p>}
          {show === "media" ? (
            <MediaSection runs={runs} none="None of these runs logged images, figures, histograms, tables, texts or sounds." />
          ) : (
            <>
              <MetricSection runs={runs} />
              <Parallel runs={runs} />
              <div className="two pair">
                <ByGroup runs={runs} />
                <Scatter runs={runs} />
              </div>
              <Contour runs={runs} />
            </>
          )}
        </>
      )}
    </Answer>
  );
}
