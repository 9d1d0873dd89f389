// What is begun beside the champion: a canary that rises by itself, or a bandit that shares by what is earned.
import { useState } from "react";
import type { Deployment, ModelVersion } from "../../lib/records";
import { backTo, change } from "./act";
import { Confirm } from "./confirm";

interface StartProps {
  deployment: Deployment;
  versions: readonly ModelVersion[];
}

/** The versions that may answer beside the champion. */
function able({ deployment, versions }: StartProps): ModelVersion[] {
  const champion = deployment.routes.find((route) => route.role === "champion")?.version;
  return versions.filter((one) => one.version !== champion && one.status !== "refused");
}

export function StartCanary(props: StartProps) {
  const { deployment } = props;
  const [chosen, choose] = useState<number | null>(null);
  const [steps, setSteps] = useState("1, 5, 25, 100");
  const [fewest, setFewest] = useState("500");
  const [hold, setHold] = useState("60");
  const offered = able(props);
  const version = chosen ?? offered[0]?.version;
  if (version === undefined) return null;
  const weights = steps.split(/[,\s]+/).filter(Boolean).map((text) => Number(text) / 100);
  const start = () =>
    change(
      "serving/start_canary",
      { model: deployment.model, version, policy: { weights, min_requests: Number(fewest), hold_s: Number(hold) }, expect_generation: deployment.generation },
      `v${version} of ${deployment.model} begins as a canary.`,
      backTo(deployment),
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
            {offered.map((one) => (
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

export function StartBandit(props: StartProps) {
  const { deployment } = props;
  const offered = able(props);
  const [chosenOut, leave] = useState<readonly number[] | null>(null);
  const left = chosenOut ?? offered.slice(2).map((one) => one.version); // until somebody chose: versions may come later
  const [explore, setExplore] = useState("5");
  const [fewest, setFewest] = useState("50");
  if (offered.length === 0) return null;
  const champion = deployment.routes.find((route) => route.role === "champion")?.version;
  const chosen = offered.map((one) => one.version).filter((version) => !left.includes(version));
  const start = () =>
    change(
      "serving/start_bandit",
      { model: deployment.model, versions: chosen, policy: { explore: Number(explore) / 100, min_rewards: Number(fewest) }, expect_generation: deployment.generation },
      `A bandit shares the requests of ${deployment.model}.`,
      backTo(deployment),
    );
  const named = [champion, ...chosen].map((version) => `v${version}`).join(", ");
  return (
    <Confirm
      label="start a bandit"
      disabled={chosen.length === 0}
      sentence={`${named} share the requests equally at first, then by the rewards that record_feedback tells of, or by the labels that arrive. It goes on until you end it, or promote the one that won.`}
      onDo={start}
    >
      <span className="canary-form">
        {offered.map(({ version }) => (
          <label key={version}>
            <input
              type="checkbox"
              checked={!left.includes(version)}
              onChange={(event) => leave(event.target.checked ? left.filter((one) => one !== version) : [...left, version])}
            />{" "}
            v{version}
          </label>
        ))}
        <label>
          always shared equally, % <input type="number" min={0} max={100} value={explore} onChange={(event) => setExplore(event.target.value)} />
        </label>
        <label>
          rewards of each first <input type="number" min={1} value={fewest} onChange={(event) => setFewest(event.target.value)} />
        </label>
      </span>
    </Confirm>
  );
}
