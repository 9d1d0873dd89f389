// Requests, latency and failures by version, on one time axis, a few seconds behind now.
import { useMemo } from "react";
import type { DeploymentChange, Traffic, TrafficPoint } from "../../lib/records";
import { DAY, HOUR, MINUTE, number, percent } from "../../lib/format";
import type { Curve } from "../../lib/curves";
import { useVerb } from "../../lib/query";
import { useParam } from "../../lib/router";
import { Answer, Card, Segments } from "../../components/basics";
import { Timeline } from "../../components/timeline";
import { LineChart, look } from "../compare/line-chart";
import { usePoll } from "./use-poll";
import { because, latency, perSecond } from "./words";

export const SPANS = { "15m": 15 * MINUTE, "1h": HOUR, "6h": 6 * HOUR, "24h": DAY } as const;
type Span = keyof typeof SPANS;
const POINTS = 60;
const OPTIONS = [
  { value: "15m", label: "15 minutes" },
  { value: "1h", label: "1 hour" },
  { value: "6h", label: "6 hours" },
  { value: "24h", label: "24 hours" },
] as const;

/** The figures of the span that the address names. */
export function useTraffic(model: string) {
  const [chosen, choose] = useParam("span", "15m");
  const span: Span = chosen in SPANS ? (chosen as Span) : "15m";
  const traffic = useVerb("serving/traffic", { model, window_ms: SPANS[span], points: POINTS });
  // A longer span reads more and moves less.
  usePoll(["serving/traffic", "serving/states"], span === "15m" ? 4000 : 15_000);
  return { span, choose, traffic };
}

const nameOf = (one: { version: number; route: string }) => `v${one.version}${one.route === "shadow" ? " in shadow" : one.route === "direct" ? " by name" : ""}`;

/** One line for each version and way it was asked; `value` gives null where there is none. */
export function curvesOf(traffic: Traffic, value: (point: TrafficPoint, seconds: number) => number | null, absent: number | null): Curve[] {
  const names = [...new Set(traffic.versions.map(nameOf))];
  const steps: number[] = [];
  // The step that has just begun tells too little.
  for (let at = traffic.from_ms; at + traffic.step_ms / 3 < traffic.to_ms; at += traffic.step_ms) steps.push(at);
  return names.map((label, slot) => {
    const own = new Map<number, TrafficPoint>();
    for (const point of traffic.points) {
      // A version that is champion now and was canary before goes on as one line: the busier of both stands for a step.
      if (nameOf(point) === label && (own.get(point.at_ms)?.requests ?? 0) <= point.requests) own.set(point.at_ms, point);
    }
    return {
      id: label,
      label,
      slot,
      xs: steps,
      ys: steps.map((at) => {
        const point = own.get(at);
        return point === undefined ? absent : value(point, Math.min(traffic.step_ms, traffic.to_ms - at) / 1000);
      }),
      band: null,
    };
  });
}

function banded(traffic: Traffic, curves: Curve[]): Curve[] {
  const middles = curvesOf(traffic, (point) => point.latency_ms, null);
  return curves.map((curve, i) => ({ ...curve, band: curve.ys.map((y, at) => ({ lo: middles[i]?.ys[at] ?? NaN, hi: y ?? NaN })) }));
}

interface LiveProps {
  traffic: ReturnType<typeof useTraffic>;
  history: readonly DeploymentChange[];
}

export function LiveCharts({ traffic: { span, choose, traffic }, history }: LiveProps) {
  return (
    <section className="live-section" aria-label="Live">
      <div className="live-bar">
        <h2>Live</h2>
        <Segments label="How far back" value={span} options={OPTIONS} onChange={choose} />
      </div>
      <Answer query={traffic} lines={6}>
        {([found]) => (found === undefined ? null : <Charts traffic={found} history={history} />)}
      </Answer>
    </section>
  );
}

function Charts({ traffic, history }: { traffic: Traffic; history: readonly DeploymentChange[] }) {
  const share = traffic.log_share || 1;
  const drawn = useMemo(
    () => ({
      requests: curvesOf(traffic, (point, seconds) => point.requests / seconds / share, 0),
      latency: banded(traffic, curvesOf(traffic, (point) => point.latency_p95_ms, null)),
      failed: curvesOf(traffic, (point) => (100 * point.failed) / point.requests, null),
    }),
    [traffic, share],
  );
  const marks = history.filter((one) => one.at_ms >= traffic.from_ms && one.at_ms < traffic.to_ms);
  if (traffic.versions.length === 0) return <Quiet logged={traffic.log_share > 0} marks={marks} />;
  return (
    <Timeline domain={[traffic.from_ms, traffic.to_ms]}>
      <div className="line-charts">
        <LineChart title="Requests a second" curves={drawn.requests} axis="clock" log={false} less={false} named amounts />
        <LineChart title="95 % within, ms; down to the median" curves={drawn.latency} axis="clock" log={false} less named amounts />
        <LineChart title="Failed, %" curves={drawn.failed} axis="clock" log={false} less={false} named amounts />
        <Summary traffic={traffic} marks={marks} />
      </div>
    </Timeline>
  );
}

/** The same as a table, for who reads figures; and what was changed meanwhile. */
function Summary({ traffic, marks }: { traffic: Traffic; marks: readonly DeploymentChange[] }) {
  const seconds = (traffic.to_ms - traffic.from_ms) / 1000;
  const names = [...new Set(traffic.versions.map(nameOf))];
  return (
    <Card title="By version" aside={traffic.log_share < 1 ? `${percent(traffic.log_share, 0)} of the requests are logged` : undefined}>
      <div className="scroll-x" tabIndex={0} role="region" aria-label="Figures by version">
        <table className="plain stacked">
          <thead>
            <tr>
              <th scope="col">version</th>
              <th scope="col" className="right">a second</th>
              <th scope="col" className="right">median</th>
              <th scope="col" className="right">95 %</th>
              <th scope="col" className="right">failed</th>
            </tr>
          </thead>
          <tbody>
            {traffic.versions.map((one) => (
              <tr key={`${one.version}${one.route}`}>
                <th scope="row">
                  <i className={`swatch ${look(names.indexOf(nameOf(one)))}`} /> v{one.version} <span className="note">{one.route === "direct" ? "by name" : one.route}</span>
                </th>
                <td className="right" data-label="a second">{perSecond(one.requests / seconds / (traffic.log_share || 1))}</td>
                <td className="right" data-label="median">{latency(one.latency_ms)}</td>
                <td className="right" data-label="95 %">{latency(one.latency_p95_ms)}</td>
                <td className={one.failed > 0 ? "right bad" : "right"} data-label="failed">{one.failed > 0 ? `${number(one.failed)} · ${percent(one.failed / one.requests, 2)}` : "0"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Changes marks={marks} />
    </Card>
  );
}

function Changes({ marks }: { marks: readonly DeploymentChange[] }) {
  return marks.length === 0 ? null : <p className="note">In this time: {marks.map((one) => `generation ${one.generation}, ${because(one)}`).join("; ")}.</p>;
}

/** Instead of charts without a line. */
function Quiet({ logged, marks }: { logged: boolean; marks: readonly DeploymentChange[] }) {
  return (
    <Card title="Nobody has asked in this time">
      <p>
        {logged ? "Requests, latencies and failures are drawn here a few seconds after they come: ask by hand below, or copy the same request for elsewhere." : "Nothing of this model is logged, so nothing is drawn here; /metrics counts its requests all the same."}
      </p>
      <Changes marks={marks} />
    </Card>
  );
}
