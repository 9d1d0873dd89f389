// What can be done with a deployment as a whole; each says what will be before it is done.
import { useState } from "react";
import type { Deployment, DeploymentChange, ModelVersion } from "../../lib/records";
import { change } from "./act";
import { Confirm } from "./confirm";
import { promoted, takenBack } from "./shares";
import { routed } from "./words";

interface ActionsProps {
  deployment: Deployment;
  versions: readonly ModelVersion[];
  history: readonly DeploymentChange[];
}

export function Actions({ deployment, versions, history }: ActionsProps) {
  const { model, routes, generation } = deployment;
  const canaries = routes.filter((route) => route.role === "canary");
  const champion = routes.find((route) => route.role === "champion")?.version;
  const now = history.find((one) => one.generation === generation);
  const before = history.find((one) => one.generation === now?.back_to);
  const bound = { model, expect_generation: generation };
  const back = takenBack(routes);
  return (
    <div className="actions" role="group" aria-label="What to do">
      {canaries.map(({ version }) => (
        <Confirm
          key={version}
          label={`promote v${version}`}
          sentence={`v${version} answers every request of ${model} from now on. v${champion} stays loaded: rolling back is instant.`}
          onDo={() => change("serving/set_routes", { ...bound, routes: promoted(routes, version) }, `v${version} is the champion of ${model}.`)}
        />
      ))}
      {canaries.length > 0 && (
        <Confirm
          label={canaries.length === 1 ? `take v${canaries[0]?.version} back` : "take the canaries back"}
          sentence={`${canaries.map((one) => `v${one.version}`).join(", ")} answers nothing more; then: ${routed(back)}.`}
          onDo={() => change("serving/set_routes", { ...bound, routes: back }, `${model}: ${routed(back)}.`)}
        />
      )}
      {deployment.canary === null && <StartCanary deployment={deployment} versions={versions} />}
      <Confirm
        label="roll back"
        disabled={before === undefined}
        sentence={`The routes of generation ${before?.generation} are taken up again: ${routed(before?.routes ?? [])}.`}
        onDo={() => change("serving/rollback", bound, `${model} is rolled back: ${routed(before?.routes ?? [])}.`)}
      />
      <Confirm
        label="undeploy"
        sentence={`${model} answers nobody any more: requests for it get 404. Its versions, its history and its predictions stay.`}
        onDo={() => change("serving/undeploy", bound, `${model} is undeployed.`)}
      />
    </div>
  );
}

function StartCanary({ deployment, versions }: { deployment: Deployment; versions: readonly ModelVersion[] }) {
  const champion = deployment.routes.find((route) => route.role === "champion")?.version;
  const able = versions.filter((one) => one.version !== champion && one.status !== "refused");
  const [chosen, choose] = useState<number | null>(null);
  const [steps, setSteps] = useState("1, 5, 25, 100");
  const [fewest, setFewest] = useState("500");
  const [hold, setHold] = useState("60");
  const version = chosen ?? able[0]?.version;
  if (version === undefined) return null;
  const weights = steps.split(/[,\s]+/).filter(Boolean).map((text) => Number(text) / 100);
  const start = () =>
    change(
      "serving/start_canary",
      { model: deployment.model, version, policy: { weights, min_requests: Number(fewest), hold_s: Number(hold) }, expect_generation: deployment.generation },
      `v${version} of ${deployment.model} begins as a canary.`,
    );
  return (
    <Confirm
      label="start a canary"
      sentence={`v${version} gets ${steps.replace(/[,\s]+/g, " %, ")} % of the requests, one share after another, while nothing speaks against it; it goes back by itself when it fails more often, is slower or earns less.`}
      onDo={start}
    >
      <span className="canary-form">
        <label>
          version{" "}
          <select value={version} onChange={(event) => choose(Number(event.target.value))}>
            {able.map((one) => (
              <option key={one.version} value={one.version}>
                v{one.version}
              </option>
            ))}
          </select>
        </label>
        <label>
          shares, % <input type="text" value={steps} onChange={(event) => setSteps(event.target.value)} />
        </label>
        <label>
          requests of each <input type="number" min={1} value={fewest} onChange={(event) => setFewest(event.target.value)} />
        </label>
        <label>
          seconds of each <input type="number" min={0} value={hold} onChange={(event) => setHold(event.target.value)} />
        </label>
      </span>
    </Confirm>
  );
}
