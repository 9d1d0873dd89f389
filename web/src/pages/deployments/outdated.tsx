// Somebody else was faster than what is being typed here.
import type { DeploymentChange } from "../../lib/records";
import { Icon } from "../../components/icon";
import { because, routed } from "./words";

export function Outdated({ latest, began }: { latest: DeploymentChange | undefined; began: number }) {
  return (
    <p className="outdated" role="status">
      <Icon name="warn" size={14} /> You began with generation {began}. Meanwhile {latest ? `${latest.actor} made generation ${latest.generation} (${because(latest)}): ${routed(latest.routes)}.` : "it was changed."} Discard yours to see it.
    </p>
  );
}
