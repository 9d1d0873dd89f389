// The course of one metric in a table cell; rows that come into sight together are asked for together.
import { useEffect, useState } from "react";
import { rowCurve } from "../../lib/curves";
import type { Run } from "../../lib/records";
import { spell } from "../../lib/describe";
import { Spark } from "../../components/sparkline";

export function MetricSpark({ run, metric }: { run: Run; metric: string }) {
  const [values, setValues] = useState<(number | null)[] | null>(null);
  const has = metric in run.metrics;
  useEffect(() => {
    if (!has) return undefined;
    let wanted = true;
    rowCurve(run.id, metric)
      .then((curve) => wanted && setValues(curve?.values ?? []))
      .catch(() => undefined); // a missing sparkline is no reason for a message
    return () => {
      wanted = false;
    };
  }, [run.id, metric, has, run.metrics[metric]]);
  if (values === null || values.length < 2) return null;
  return <Spark values={values} label={`${spell(metric)} of ${run.name}`} />;
}
