// The registered models: which version answers, whether its gates passed, where it is live.
import "./registry.css";
import { useVerb } from "../../lib/query";
import type { Deployment, Model } from "../../lib/records";
import { number, plural } from "../../lib/format";
import { Link, path } from "../../lib/router";
import { Answer, Empty, Say, Time } from "../../components/basics";
import { Page } from "../../components/page";
import { Spark } from "../../components/sparkline";
import { commonKeys } from "../../lib/diff";
import { spell } from "../../lib/describe";
import { Alias } from "./alias";
import { Channels } from "./channels";
import { RouteBar } from "./routes";

const FIRST_LINES = `import homeostat as hs

ws = hs.open("./.homeostat")
hs.log_model(ws, "delay", estimator, sample=rows)`;

export default function ModelsPage() {
  const models = useVerb("registry/list_models", {});
  const deployments = useVerb("serving/list_deployments", {});
  return (
    <Page title="Models" trail={["Models"]}>
      <Answer query={models} lines={6}>
        {(found) => (found.length === 0 ? <NoModel /> : <List models={found} deployments={deployments.data ?? []} />)}
      </Answer>
      <Channels />
    </Page>
  );
}

function NoModel() {
  return (
    <>
      <Say>No model is registered yet.</Say>
      <Empty title="Register the first one" code={FIRST_LINES} />
    </>
  );
}

/** The most common metric of a model's versions, in order, with the champion's value beside it. */
function Course({ model }: { model: string }) {
  const versions = useVerb("registry/list_versions", { model });
  const sorted = [...(versions.data ?? [])].sort((a, b) => a.version - b.version);
  const [metric] = commonKeys(sorted, (v) => v.metrics);
  const told = sorted.find((v) => v.aliases.includes("champion")) ?? sorted.at(-1);
  if (metric === undefined || told === undefined) return null;
  return (
    <span className="course">
      <Spark values={sorted.map((v) => v.metrics[metric] ?? null)} label={`${spell(metric)} by version`} />
      <span>
        <b>{number(told.metrics[metric])}</b> <span className="note">{spell(metric)}</span>
      </span>
    </span>
  );
}

function List({ models, deployments }: { models: Model[]; deployments: Deployment[] }) {
  const versions = models.reduce((sum, model) => sum + model.versions, 0);
  const live = deployments.filter((d) => models.some((m) => m.name === d.model) && d.routes.length > 0).length;
  const many = `**${models.length}** ${models.length === 1 ? "model" : "models"} with **${versions}** versions`;
  return (
    <>
      <Say>{`${many}; ${live === 0 ? "none is live" : `**${live}** ${live === 1 ? "is" : "are"} live`}.`}</Say>
      <div className="card scroll-x" tabIndex={0} role="group" aria-label="Models">
        <table className="plain roomy">
          <thead>
            <tr>
              <th scope="col">model</th>
              <th scope="col">aliases</th>
              <th scope="col">quality by version</th>
              <th scope="col">live</th>
              <th scope="col" className="right">
                versions
              </th>
              <th scope="col" className="right">
                changed
              </th>
            </tr>
          </thead>
          <tbody>
            {models.map((model) => {
              const routes = deployments.find((d) => d.model === model.name)?.routes ?? [];
              return (
                <tr key={model.name}>
                  <th scope="row">
                    <Link to={path("models", model.name)}>{model.name}</Link>
                    {model.description && <span className="note block">{model.description}</span>}
                  </th>
                  <td>
                    {Object.entries(model.aliases).map(([alias, version]) => (
                      <Alias key={alias} name={alias} version={version} />
                    ))}
                  </td>
                  <td>
                    <Course model={model.name} />
                  </td>
                  <td>{routes.length > 0 ? <RouteBar routes={routes} /> : <span className="note">not deployed</span>}</td>
                  <td className="right">{plural(model.versions, "version")}</td>
                  <td className="right">
                    <Time ms={model.updated_ms} />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </>
  );
}
