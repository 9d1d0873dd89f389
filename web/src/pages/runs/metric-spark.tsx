// The course of one metric in a table cell, asked for only once the row has stayed in sight.
import { useEffect, useState } from "react";
import { fetchOnce } from "../../lib/query";
import type { Run } from "../../lib/records";
import { spell } from "../../lib/describe";
import { Spark } from "../../components/sparkline";

const SETTLE_MS = 120;
const MOST = 120;

/** At most so many points, evenly taken, the last one always among them. */
export function thin(values: readonly (number | null)[], most = MOST): (number | null)[] {
  if (values.length <= most) return [...values];
  return Array.from({ length: most }, (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))] ?? null);
}

export function MetricSpark({ run, metric }: { run: Run; metric: string }) {
  const [values, setValues] = useState<(number | null)[] | null>(null);
  const has = metric in run.metrics;
  useEffect(() => {
    if (!has) return undefined;
    let wanted = true;
    const timer = window.setTimeout(() => {
      fetchOnce("tracking/metric_history", { id: run.id, key: metric })
        .then((history) => wanted && setValues(thin(history.map((m) => m.value))))
        .catch(() => undefined); // a missing sparkline is no reason for a message
    }, SETTLE_MS);
    return () => {
      wanted = false;
      window.clearTimeout(timer);
    };
  }, [run.id, metric, has, run.metrics[metric]]);
  if (values === null || values.length < 2) return null;
  return <Spark values={values} label={`${spell(metric)} of ${run.name}`} />;
}
