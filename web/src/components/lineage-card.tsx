import { useVerb } from "../lib/query";
import { Card } from "./basics";
import { LineageGraph } from "./graph";

interface LineageCardProps {
  kind: "run" | "model" | "table";
  asset: string;
  version?: number;
}

/** Where a thing came from and what was made of it. Nothing is shown where nothing is recorded. */
export function LineageCard({ kind, asset, version }: LineageCardProps) {
  const lineage = useVerb("lineage/of", version === undefined ? { kind, asset } : { kind, asset, version });
  if (lineage.data === undefined || lineage.data.edges.length === 0) return null;
  const self = lineage.data.nodes.find((node) =>
    kind === "run"
      ? node.run_id === asset
      : node.kind === kind && node.label === asset && node.version === String(version),
  );
  return (
    <Card title="Lineage" aside="read on the left, made on the right">
      <LineageGraph lineage={lineage.data} {...(self ? { self: self.id } : {})} />
    </Card>
  );
}
