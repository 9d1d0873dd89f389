// Which address shows which page. The Loop is in the first download, the others arrive when asked for.
import { Component, lazy, Suspense, type ReactNode } from "react";
import { Shell } from "./components/shell";
import { Empty, Skeleton, Trouble } from "./components/basics";
import { Link, useParam, usePath } from "./lib/router";
import LoopPage from "./pages/loop/loop-page";

const RunsPage = lazy(() => import("./pages/runs/runs-page"));
const ComparePage = lazy(() => import("./pages/compare/compare-page"));
const RunPage = lazy(() => import("./pages/runs/run-page"));
const ModelsPage = lazy(() => import("./pages/models/models-page"));
const ModelPage = lazy(() => import("./pages/models/model-page"));
const DeploymentsPage = lazy(() => import("./pages/deployments/deployments-page"));
const DeploymentPage = lazy(() => import("./pages/deployments/deployment-page"));
const DataPage = lazy(() => import("./pages/data/data-page"));
const TablePage = lazy(() => import("./pages/data/table-page"));

function route([section = "loop", name, ...rest]: string[]): ReactNode {
  if (rest.length > 0) return <Unknown />;
  switch (section) {
    case "loop":
      return <LoopPage key={name} model={name} />;
    case "runs":
      return name === undefined ? <Runs /> : <RunPage key={name} id={name} />;
    case "models":
      return name === undefined ? <ModelsPage /> : <ModelPage key={name} model={name} />;
    case "deployments":
      return name === undefined ? <DeploymentsPage /> : <DeploymentPage key={name} model={name} />;
    case "data":
      return name === undefined ? <DataPage /> : <TablePage key={name} name={name} />;
    default:
      return <Unknown />;
  }
}

/** A comparison is a view of the runs: the same page, with the runs it compares in its address. */
function Runs() {
  const [compared] = useParam("compare");
  return compared === "" ? <RunsPage /> : <ComparePage ids={compared.split(",")} />;
}

function Unknown() {
  return (
    <Empty title="There is no such page">
      <p>
        The address may be from another version. <Link to="/loop">Go to the Loop</Link>.
      </p>
    </Empty>
  );
}

export function App() {
  const parts = usePath();
  return (
    <Shell>
      <Guard key={parts.join("/")}>
        <Suspense fallback={<Skeleton lines={8} />}>{route(parts)}</Suspense>
      </Guard>
    </Shell>
  );
}

/** A page that fails says so and leaves the navigation standing. */
class Guard extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state = { error: null as Error | null };
  static getDerivedStateFromError(error: Error) {
    return { error };
  }
  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <Trouble
        error={{
          message: "This page could not be drawn.",
          hint: "Reload it. If it stays, report it with the line below.",
          code: `${error.name}: ${error.message}`,
        }}
      />
    );
  }
}
