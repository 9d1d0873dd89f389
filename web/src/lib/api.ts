// The one place that speaks HTTP. Every read is a verb: GET /api/v1/<slice>/<verb>?argument=value.
import type { Media } from "./media";
import type * as R from "./records";

/** Which runs are meant; `query` is what a person types. */
export type RunFilter = {
  kind?: string;
  status?: string;
  experiment?: string;
  parent_id?: string;
  query?: string;
  lifecycle?: "active" | "deleted";
};

/** What each verb takes and gives; the key is its path below /api/v1/. */
export interface Verbs {
  "loop/list_models": [Record<string, never>, R.LoopStatus[]];
  "loop/status": [{ model: string }, R.LoopStatus];
  "loop/quality_history": [{ model: string }, R.QualityPoint[]];
  "loop/decisions": [{ model: string; limit: number }, R.Decision[]];
  "loop/why": [{ id: string }, R.Explanation];
  "tracking/search_runs": [
    RunFilter & { order_by?: string; limit: number; after?: string; columns?: string[] },
    R.RunPage,
  ];
  "tracking/run_facets": [RunFilter, R.RunFacets];
  "tracking/get_runs": [{ ids: string[] }, R.Run[]];
  "tracking/metric_ranges": [{ ids: string[]; keys: string[] }, Record<string, Record<string, R.MetricRange>>];
  "tracking/metric_curves": [{ ids: string[]; keys: string[]; points: number; from_step?: number; to_step?: number }, R.MetricCurve[]];
  "tracking/get_run": [{ id: string }, R.Run];
  "tracking/list_views": [Record<string, never>, R.RunView[]];
  "tracking/list_media": [{ ids: string[] }, Record<string, Media[]>];
  "tracking/preview_table": [{ id: string; path: string; limit: number }, R.ArtifactTable];
  "tracking/list_artifacts": [{ id: string }, R.Artifact[]];
  "pipelines/list_pipeline_runs": [{ limit: number }, R.PipelineRunPage];
  "pipelines/get_pipeline_run": [{ run: string }, R.PipelineRun];
  "registry/list_models": [Record<string, never>, R.Model[]];
  "registry/list_versions": [{ model: string }, R.ModelVersion[]];
  "registry/get_model": [{ name: string }, R.Model];
  "registry/diff_versions": [{ model: string; first: number; second: number }, R.VersionDiff];
  "registry/history": [{ model: string; limit: number }, R.HistoryEntry[]];
  "registry/verify_history": [{ model: string }, R.HistoryCheck];
  "registry/list_rules": [{ model: string }, R.ApprovalRule[]];
  "registry/list_requests": [{ model: string; limit: number }, R.AliasRequest[]];
  "notify/list_channels": [Record<string, never>, R.Channel[]];
  "notify/list_deliveries": [{ limit: number }, R.Delivery[]];
  "explain/importance": [{ model: string; version: number }, R.Importance[]];
  "serving/list_deployments": [Record<string, never>, R.Deployment[]];
  "serving/get_graph": [{ model: string; version: number }, R.DeclaredGraph];
  "serving/graph_traffic": [{ model: string; version: number; window_ms: number }, R.GraphTraffic];
  "serving/deployment_history": [{ model: string; limit: number }, R.DeploymentChange[]];
  "serving/states": [{ model?: string }, R.ServingState[]];
  "serving/endpoint": [Record<string, never>, R.Endpoint];
  "serving/traffic": [{ model?: string; window_ms: number; points: number }, R.Traffic[]];
  "serving/judge_canary": [{ model: string }, R.CanaryReview | null];
  "serving/bandit_arms": [{ model: string }, R.BanditReview | null];
  "serving/compare_shadow": [{ model: string; limit: number }, R.ShadowComparison[]];
  "serving/logged_request": [{ model: string; request_id: string }, R.LoggedAnswer[]];
  "lineage/of": [{ kind: string; asset: string; version?: number }, R.Lineage];
  "data/list_tables": [Record<string, never>, R.Table[]];
  "data/get_table": [{ name: string }, R.Table];
  "data/profile_table": [{ name: string }, R.TableProfile];
  "data/list_versions": [{ name: string; limit: number }, R.TableVersion[]];
}
/** The verbs that change something. */
export interface Changes {
  "tracking/set_tags": { id: string; tags: Record<string, string> };
  "tracking/delete_tag": { id: string; key: string };
  "tracking/delete_run": { id: string };
  "tracking/restore_run": { id: string };
  "tracking/save_view": { name: string; query: string };
  "tracking/delete_view": { name: string };
  "notify/replay_delivery": { id: string };
  "registry/annotate": { model: string; version?: number; description?: string; tags?: Record<string, string> };
  "registry/delete_tag": { model: string; version?: number; key: string };
  "registry/set_alias": { model: string; alias: string; version: number; expect: number; reason: string };
  "registry/delete_alias": { model: string; alias: string; reason: string };
  "registry/request_alias": { model: string; alias: string; version: number; reason: string };
  "registry/approve": { id: string; reason: string };
  "registry/reject": { id: string; reason: string };
  "registry/set_stage": { model: string; version: number; stage: string; reason: string };
  "registry/delete_version": { model: string; version: number; reason: string };
  "serving/deploy": { model: string; version: number } & Partial<R.Deployment>;
  "serving/configure": { model: string; expect_generation: number } & Partial<R.Deployment>;
  "serving/set_routes": { model: string; routes: R.Route[]; expect_generation: number };
  "serving/start_canary": { model: string; version: number; policy: Partial<R.CanaryPolicy>; expect_generation: number };
  "serving/start_bandit": { model: string; versions: number[]; policy: Partial<R.BanditPolicy>; expect_generation: number };
  "serving/rollback": { model: string; expect_generation: number };
  "serving/undeploy": { model: string; expect_generation: number };
  "registry/restore_version": { model: string; version: number; reason: string };
}
export type Verb = keyof Verbs;
export type Args<V extends Verb> = Verbs[V][0];
export type Result<V extends Verb> = Verbs[V][1];

/** An answer that is not a result: what went wrong, and what to do about it. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** Where the application is mounted, with a trailing slash ("/" or "/prefix/"). */
export const basePath: string = typeof document === "undefined" ? "/" : new URL(document.baseURI).pathname;

/** The address of a verb with its arguments; absent ones are left out, lists and objects travel as JSON. */
export function address(verb: Verb | "tracking/read_artifact", args: Record<string, unknown>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(args)) {
    if (value === undefined || value === null || value === "") continue;
    query.set(name, typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  const text = query.toString();
  return `${basePath}api/v1/${verb}${text ? `?${text}` : ""}`;
}

/** Calls a verb. Throws ApiError, also when the server cannot be reached (`status` is then 0). */
export async function get<V extends Verb>(verb: V, args: Args<V>): Promise<Result<V>> {
  return (await ask(address(verb, args), { headers: { accept: "application/json" } })) as Result<V>;
}

/** Calls a verb that changes something. Its answer as it is; throws ApiError like `get`. */
export async function post<V extends keyof Changes>(verb: V, args: Changes[V]): Promise<unknown> {
  const headers = { accept: "application/json", "content-type": "application/json" };
  return ask(`${basePath}api/v1/${verb}`, { method: "POST", headers, body: JSON.stringify(args) });
}

/** What the model of a deployment takes, with recorded rows as example, as its data plane says it. */
export async function takes(model: string, version: string): Promise<unknown> {
  return ask(`${basePath}predict/${encodeURIComponent(model)}${version && `?version=${version}`}`, { headers: { accept: "application/json" } });
}

/** Asks a model, through the server: a page may not ask the data plane itself. */
export async function predict(model: string, version: string, body: string): Promise<R.Predicted> {
  const headers = { accept: "application/json", "content-type": "application/json" };
  const url = `${basePath}predict/${encodeURIComponent(model)}${version && `?version=${version}`}`;
  return (await ask(url, { method: "POST", headers, body })) as R.Predicted;
}

async function ask(url: string, request: RequestInit): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(url, request);
  } catch {
    throw new ApiError(
      "unreachable",
      "The server does not answer.",
      "Is it running? Start it with `homeostat up`; this page goes on by itself.",
      0,
    );
  }
  const body: unknown = await response.json().catch(() => undefined);
  if (response.ok && body !== undefined) return body;
  throw toError(response.status, body);
}

function toError(status: number, body: unknown): ApiError {
  const error = (body as { error?: { code?: string; message?: string; hint?: string } } | undefined)?.error;
  return new ApiError(
    error?.code ?? "unexpected",
    error?.message ?? `The server answered ${status} with something that is not a record.`,
    error?.hint ?? "Look at the server's log; `homeostat doctor` checks the workspace.",
    status,
  );
}
