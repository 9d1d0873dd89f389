// One deployment: who answers what share, how it goes, what shadows would have said, and a form to try it.
import "./deployments.css";
import "../compare/compare.css";
import { useVerb } from "../../lib/query";
import type { Deployment, DeploymentChange, ModelVersion, ServingState } from "../../lib/records";
import { Link, path, useParam } from "../../lib/router";
import { Answer, Card, Empty, Pill, Say } from "../../components/basics";
import { Page } from "../../components/page";
import { change } from "./act";
import { Confirm } from "./confirm";
import { Generations } from "./generations";
import { GraphCard } from "./graph-card";
import { LiveCharts, SPANS, useTraffic } from "./live-charts";
import { Judged } from "./judged";
import { OptionsCard } from "./options-card";
import { RequestCard } from "./request-card";
import { RoutesCard } from "./routes-card";
import { Shadows } from "./shadow";
import { TryIt } from "./try-it";
import { opening, planes, rollout } from "./words";

const SHOWN = 100;

export default function DeploymentPage({ model }: { model: string }) {
  const deployments = useVerb("serving/list_deployments", {});
  const history = useVerb("serving/deployment_history", { model, limit: SHOWN });
  const versions = useVerb("registry/list_versions", { model });
  return (
    <Answer query={deployments} lines={8}>
      {(found) => {
        const deployment = found.find((one) => one.model === model);
        const newest = [...(versions.data ?? [])].sort((a, b) => b.version - a.version);
        if (deployment !== undefined) return <Deployed deployment={deployment} deployments={found} history={history.data ?? []} versions={newest} />;
        return <Answer query={versions}>{() => <NotDeployed model={model} history={history.data ?? []} versions={newest} />}</Answer>;
      }}
    </Answer>
  );
}

interface ViewProps {
  deployment: Deployment;
  deployments: readonly Deployment[];
  history: readonly DeploymentChange[];
  versions: readonly ModelVersion[];
}

function Deployed({ deployment, deployments, history, versions }: ViewProps) {
  const { model } = deployment;
  const states = useVerb("serving/states", { model });
  const traffic = useTraffic(model);
  const [request, look] = useParam("request");
  const logged = useVerb("serving/logged_request", request === "" ? null : { model, request_id: request });
  const answering = states.data?.some((state) => state.state === "ready" || state.state === "unloaded") ?? false;
  const graphs = deployments.filter((one) => one.members.some((name) => name.split("/")[0] === model));
  const shadowed = deployment.routes.some((route) => route.role === "shadow");
  const { tone, text } = planes(states.data ?? [], deployment.generation);
  return (
    <Page title={model} trail={["Deployments", model]} badge={states.data && <Pill tone={tone}>{text}</Pill>}>
      <Say>{opening(deployment, traffic.traffic.data?.[0], SPANS[traffic.span])}</Say>
      <p className="facts">
        <span className="chip">{rollout(deployment)}</span>
        <Link className="chip" to={path("models", model)}>
          its versions
        </Link>
        <Link className="chip" to={path("loop", model)}>
          its loop
        </Link>
        {graphs.map((graph) => (
          <Link className="chip" key={graph.model} to={path("deployments", graph.model)}>
            asked by the graph {graph.model}
          </Link>
        ))}
      </p>
      {deployment.members.length > 0 && <GraphCard deployment={deployment} deployments={deployments} />}
      <div className="two wide-left">
        <RoutesCard deployment={deployment} versions={versions} history={history} />
        <div className="stack">
          <Judged deployment={deployment} />
          <Planes states={states.data} />
        </div>
      </div>
      <OptionsCard deployment={deployment} history={history} />
      <LiveCharts traffic={traffic} history={history} />
      {request !== "" && <RequestCard id={request} query={logged} onClose={() => look("")} />}
      {shadowed && <Shadows model={model} onLook={look} />}
      {answering ? (
        <TryIt model={model} routes={deployment.routes} logged={logged.data} onLook={look} />
      ) : (
        <Card title="Try it" className="try">
          <p className="note">{states.pending ? "Asking who answers…" : "No data plane answers for this model yet."}</p>
        </Card>
      )}
      <Generations history={history} now={deployment.generation} />
    </Page>
  );
}

const LOOKS = { ready: "ok", loading: "warn", unloaded: "quiet", failed: "bad" } as const;

function Planes({ states }: { states: readonly ServingState[] | undefined }) {
  const endpoint = useVerb("serving/endpoint", {});
  return (
    <Card title="Data planes" aside={endpoint.data && <span className="mono">{endpoint.data.rest_url}</span>}>
      {states === undefined ? (
        <p className="note">Asking who answers…</p>
      ) : states.length === 0 ? (
        <p className="note">No data plane runs: nobody is answered. Start one with `homeostat up`.</p>
      ) : (
        <ul className="planes">
          {states.map((state) => (
            <li key={state.plane}>
              <span className="mono">{state.plane}</span>
              <Pill tone={LOOKS[state.state]}>{state.state === "unloaded" ? "asleep" : state.state}</Pill>
              <span className="note">
                generation {state.generation}
                {state.state === "unloaded" && "; the next request loads it"}
              </span>
              {state.reason && <p className={state.state === "failed" ? "bad" : "note"}>{state.reason}</p>}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function NotDeployed({ model, history, versions }: { model: string; history: readonly DeploymentChange[]; versions: readonly ModelVersion[] }) {
  const able = versions.find((version) => version.status !== "refused");
  return (
    <Page title={model} trail={["Deployments", model]} badge={<Pill tone="quiet">not deployed</Pill>}>
      <Say>{able === undefined ? `${model} has no version that could be deployed.` : `Nobody is answered by ${model}.`}</Say>
      <Empty title={able === undefined ? "Register a version first" : "Deploy it"} code={able === undefined ? undefined : `ws.serving.deploy("${model}", ${able.version})`}>
        {able !== undefined && (
          <Confirm
            label={`deploy v${able.version}`}
            sentence={`v${able.version} answers every request for ${model}.`}
            onDo={() => change("serving/deploy", { model, version: able.version }, `v${able.version} of ${model} is deployed.`)}
          />
        )}
      </Empty>
      <Generations history={history} now={null} />
    </Page>
  );
}
