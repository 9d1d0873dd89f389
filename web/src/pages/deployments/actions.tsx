// What can be done with a deployment as a whole; each says what will be before it is done.
import type { Deployment, DeploymentChange, ModelVersion } from "../../lib/records";
import { backTo, change, deployAgain } from "./act";
import { Confirm } from "./confirm";
import { promoted, takenBack } from "./shares";
import { StartBandit, StartCanary } from "./start";
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
  const undo = backTo(deployment);
  const ends = deployment.bandit !== null ? " This ends the bandit." : "";
  return (
    <div className="actions" role="group" aria-label="What to do">
      {canaries.map(({ version }) => (
        <Confirm
          key={version}
          label={`promote v${version}`}
          sentence={`v${version} answers every request of ${model} from now on. v${champion} stays loaded: rolling back is instant.${ends}`}
          onDo={() => change("serving/set_routes", { ...bound, routes: promoted(routes, version) }, `v${version} is the champion of ${model}.`, undo)}
        />
      ))}
      {canaries.length > 0 && (
        <Confirm
          label={deployment.bandit !== null ? "end the bandit" : canaries.length === 1 ? `take v${canaries[0]?.version} back` : "take the canaries back"}
          sentence={`${canaries.map((one) => `v${one.version}`).join(", ")} answers nothing more; then: ${routed(back)}.`}
          onDo={() => change("serving/set_routes", { ...bound, routes: back }, `${model}: ${routed(back)}.`, undo)}
        />
      )}
      {deployment.canary === null && <StartCanary deployment={deployment} versions={versions} />}
      {deployment.canary === null && deployment.bandit === null && <StartBandit deployment={deployment} versions={versions} />}
      <Confirm
        label="roll back"
        disabled={before === undefined}
        sentence={`The routes of generation ${before?.generation} are taken up again: ${routed(before?.routes ?? [])}.`}
        onDo={() => change("serving/rollback", bound, `${model} is rolled back: ${routed(before?.routes ?? [])}.`, undo)}
      />
      <Confirm
        label="undeploy"
        sentence={`${model} answers nobody any more: requests for it get 404. Its versions, its history and its predictions stay.`}
        onDo={() => change("serving/undeploy", bound, `${model} is undeployed.`, () => deployAgain(deployment))}
      />
    </div>
  );
}
