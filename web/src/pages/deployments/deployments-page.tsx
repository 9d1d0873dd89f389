// Every model that answers: which version, how much, how fast, how well.
import "./deployments.css";
import { useVerb } from "../../lib/query";
import type { Deployment, ServingState, Traffic } from "../../lib/records";
import { duration, MINUTE, percent } from "../../lib/format";
import { Link, path } from "../../lib/router";
import { Answer, Empty, Pill, Say } from "../../components/basics";
import { Page } from "../../components/page";
import { Spark } from "../../components/sparkline";
import { RouteBar } from "../models/routes";
import { usePoll } from "./use-poll";
import { latency, perSecond, planes, rate, rollout } from "./words";

const FIRST_LINES = `import homeostat as hs

ws = hs.open("./.homeostat")
ws.serving.deploy("delay")    # a registered model; then \`homeostat up\` answers`;
const WINDOW = 15 * MINUTE;
const POINTS = 45;

export default function DeploymentsPage() {
  const deployments = useVerb("serving/list_deployments", {});
  const states = useVerb("serving/states", {});
  const traffic = useVerb("serving/traffic", { window_ms: WINDOW, points: POINTS });
  usePoll(["serving/traffic", "serving/states"], 5000);
  return (
    <Page title="Deployments" trail={["Deployments"]}>
      <Answer query={deployments} lines={6}>
        {(found) => (found.length === 0 ? <NoDeployment /> : <List deployments={found} states={states.data ?? []} traffic={traffic.data ?? []} />)}
      </Answer>
    </Page>
  );
}

function NoDeployment() {
  return (
    <>
      <Say>Nothing is deployed yet.</Say>
      <Empty title="Deploy the first model" code={FIRST_LINES} />
    </>
  );
}

function opening(deployments: readonly Deployment[], traffic: readonly Traffic[]): string {
  const moving = deployments.filter((d) => d.canary !== null || d.bandit !== null).length;
  const asked = traffic.reduce((sum, one) => sum + rate(one, one.requests), 0);
  const requests = traffic.reduce((sum, one) => sum + one.requests, 0);
  const failed = traffic.reduce((sum, one) => sum + one.failed, 0);
  const many = `**${deployments.length}** ${deployments.length === 1 ? "model is" : "models are"} deployed`;
  const rolling = moving > 0 ? `, **${moving}** in a rollout` : "";
  if (requests === 0) return `${many}${rolling}; nobody has asked in the last ${duration(WINDOW)}.`;
  return `${many}${rolling}; **${perSecond(asked)}** requests a second, ${failed === 0 ? "none of them failed" : `**${percent(failed / requests, 2)}** failed`} in the last ${duration(WINDOW)}.`;
}

function List(props: { deployments: Deployment[]; states: ServingState[]; traffic: Traffic[] }) {
  return (
    <>
      <Say>{opening(props.deployments, props.traffic)}</Say>
      <div className="card scroll-x" tabIndex={0} role="group" aria-label="Deployments">
        <table className="plain roomy stacked">
          <thead>
            <tr>
              <th scope="col">model</th>
              <th scope="col">who answers</th>
              <th scope="col">rollout</th>
              <th scope="col">requests a second</th>
              <th scope="col" className="right">median</th>
              <th scope="col" className="right">95 % within</th>
              <th scope="col" className="right">failed</th>
              <th scope="col" className="right">data planes</th>
            </tr>
          </thead>
          <tbody>
            {props.deployments.map((deployment) => (
              <Row
                key={deployment.model}
                deployment={deployment}
                states={props.states.filter((state) => state.model === deployment.model)}
                traffic={props.traffic.find((one) => one.model === deployment.model)}
              />
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** Requests in each step, those without any as 0. */
export function perStep(traffic: Traffic): number[] {
  const steps = Math.max(1, Math.floor((traffic.to_ms - traffic.from_ms) / traffic.step_ms));
  const found = Array.from({ length: steps }, () => 0);
  for (const point of traffic.points) {
    const at = Math.round((point.at_ms - traffic.from_ms) / traffic.step_ms);
    if (point.route !== "shadow" && at < steps) found[at] = (found[at] ?? 0) + point.requests;
  }
  return found;
}

function Row({ deployment, states, traffic }: { deployment: Deployment; states: ServingState[]; traffic: Traffic | undefined }) {
  const { tone, text } = planes(states, deployment.generation);
  const failing = traffic !== undefined && traffic.failed > 0;
  return (
    <tr>
      <th scope="row" className="nowrap">
        <Link to={path("deployments", deployment.model)}>{deployment.model}</Link>
      </th>
      <td>
        <RouteBar routes={deployment.routes} />
      </td>
      <td className="note">{rollout(deployment)}</td>
      <td data-label="a second">
        {traffic && (
          <span className="course">
            <Spark values={perStep(traffic)} label="requests over time" />
            <b>{perSecond(rate(traffic, traffic.requests))}</b>
          </span>
        )}
      </td>
      <td className="right" data-label="median">
        {latency(traffic?.latency_ms ?? null)}
      </td>
      <td className="right" data-label="95 % within">
        {latency(traffic?.latency_p95_ms ?? null)}
      </td>
      <td className={failing ? "right bad" : "right"} data-label="failed">
        {traffic && traffic.requests > 0 ? percent(traffic.failed / traffic.requests, failing ? 2 : 0) : "–"}
      </td>
      <td className="right">
        <Pill tone={tone}>{text}</Pill>
      </td>
    </tr>
  );
}
