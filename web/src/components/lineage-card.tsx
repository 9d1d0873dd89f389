import { useVerb } from "../lib/query";
import { Answer, Card } from "./basics";
import { LineageGraph } from "./graph";

interface LineageCardProps {
  kind: "run" | "model" | "table";
  asset: string;
  version: number;
}

/** Where a thing came from and what was made of it. A workspace without an answer shows nothing. */
export function LineageCard({ kind, asset, version }: LineageCardProps) {
  const lineage = useVerb("lineage/of", { kind, asset, version });
  if (lineage.error || lineage.data?.nodes.length === 0) return null;
  const self = lineage.data?.nodes.find(
    (node) => node.kind === kind && (node.label === asset || node.run_id === asset || node.id.includes(asset)) && (kind === "run" || String(node.version) === String(version)),
  );
  return (
    <Card title="Lineage" aside="read on the left, made on the right">
      <Answer query={lineage} lines={3}>
        {(found) => <LineageGraph lineage={found} {...(self ? { self: self.id } : {})} />}
      </Answer>
    </Card>
  );
}
