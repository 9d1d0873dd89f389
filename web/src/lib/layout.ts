// A small layered layout for lineage graphs: left to right, cycles cut open, crossings reduced by barycentres.

export interface GraphNode {
  id: string;
}
export interface GraphEdge {
  source: string;
  target: string;
}
export interface Placed<N extends GraphNode> {
  node: N;
  layer: number;
  row: number;
}

/** Places nodes in layers (longest path from a source) and rows. Edges to unknown nodes are ignored. */
export function layered<N extends GraphNode>(nodes: readonly N[], edges: readonly GraphEdge[]): Placed<N>[] {
  const known = new Set(nodes.map((node) => node.id));
  const inner = acyclic(nodes, edges.filter((e) => known.has(e.source) && known.has(e.target) && e.source !== e.target));
  const layerOf = longestPaths(nodes, inner);
  const layers: N[][] = [];
  for (const node of nodes) (layers[layerOf.get(node.id) ?? 0] ??= []).push(node);
  const filled = layers.filter((layer) => layer !== undefined && layer.length > 0);
  const rows = new Map<string, number>();
  const settle = (layer: N[]) => layer.forEach((node, i) => rows.set(node.id, i - (layer.length - 1) / 2));
  filled.forEach(settle);
  for (let round = 0; round < 6; round += 1) {
    const forward = round % 2 === 0;
    for (const layer of forward ? filled : [...filled].reverse()) {
      layer.sort((a, b) => centre(a.id, inner, rows, forward) - centre(b.id, inner, rows, forward));
      settle(layer);
    }
  }
  return filled.flatMap((layer, index) =>
    layer.map((node) => ({ node, layer: index, row: rows.get(node.id) ?? 0 })),
  );
}

/** The edges without those that lead back to where one came from, found depth first in the order of the nodes. */
function acyclic(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): GraphEdge[] {
  const out = new Map<string, GraphEdge[]>();
  for (const edge of edges) out.set(edge.source, [...(out.get(edge.source) ?? []), edge]);
  const state = new Map<string, "open" | "done">();
  const kept: GraphEdge[] = [];
  const visit = (id: string) => {
    state.set(id, "open");
    for (const edge of out.get(id) ?? []) {
      if (state.get(edge.target) === "open") continue;
      kept.push(edge);
      if (!state.has(edge.target)) visit(edge.target);
    }
    state.set(id, "done");
  };
  for (const { id } of nodes) if (!state.has(id)) visit(id);
  return kept;
}

function longestPaths(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): Map<string, number> {
  const layer = new Map(nodes.map((node) => [node.id, 0]));
  for (let moved = true; moved; ) {
    moved = false;
    for (const { source, target } of edges) {
      const wanted = (layer.get(source) ?? 0) + 1;
      if (wanted > (layer.get(target) ?? 0)) {
        layer.set(target, wanted);
        moved = true;
      }
    }
  }
  return layer;
}

function centre(id: string, edges: readonly GraphEdge[], rows: Map<string, number>, forward: boolean): number {
  const near = edges.filter((e) => (forward ? e.target : e.source) === id).map((e) => (forward ? e.source : e.target));
  if (near.length === 0) return rows.get(id) ?? 0;
  return near.reduce((sum, other) => sum + (rows.get(other) ?? 0), 0) / near.length;
}
