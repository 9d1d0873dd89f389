// The records of the HTTP API as TypeScript sees them. Times are milliseconds since 1970, UTC.

export type State = "unknown" | "within" | "at_risk" | "out";
export type LoopState = "holding" | "at_risk" | "out" | "unknown";
export type StageState = "ok" | "working" | "warn" | "bad" | "idle";
export type DecisionKind =
  | "wait"
  | "fix_data"
  | "collect"
  | "retrain"
  | "promote"
  | "refuse"
  | "canary"
  | "roll_back";

export interface Point {
  at_ms: number;
  value: number | null;
  lo: number | null;
  hi: number | null;
  n: number;
  mature: number;
}
export interface VariableStatus {
  /** As written in homeostat.yaml. */
  variable: string;
  /** As a person says it: "AUC by carrier". */
  label: string;
  measure: string;
  by: string | null;
  of: string | null;
  value: number | null;
  lo: number | null;
  hi: number | null;
  limit: number;
  comparison: ">=" | "<=";
  window_ms: number | null;
  n: number;
  min_n: number;
  state: State;
  detail: string;
  history: Point[];
}
export interface Stage {
  name: "data" | "features" | "train" | "validate" | "serve" | "watch";
  label: string;
  detail: string;
  state: StageState;
}
export interface LoopStatus {
  model: string;
  state: LoopState;
  sentence: string;
  at_ms: number;
  champion: number | null;
  canary: { version: number; weight: number } | null;
  stages: Stage[];
  variables: VariableStatus[];
  next_review_ms: number | null;
  central: VariableStatus | null;
}
export interface QualityPoint {
  at_ms: number;
  n: number;
  live: number | null;
  live_lo: number | null;
  live_hi: number | null;
  frozen: number | null;
  mature: number;
}
export interface Evidence {
  name: string;
  kind: string;
  value: number | null;
  lo: number | null;
  hi: number | null;
  limit: number | null;
  n: number | null;
  /** Its rank in the rule: 1 weighs most. */
  weight: number;
  text: string;
  data: string[];
}
/** A gain in a measure, foreseen or seen. */
export interface Effect {
  measure: string;
  value: number;
  lo: number | null;
  hi: number | null;
  n: number | null;
}
export interface Decision {
  id: string;
  model: string;
  kind: DecisionKind;
  at_ms: number;
  headline: string;
  reason: string;
  evidence: Evidence[];
  rule: { name: string; version: number; params: Record<string, unknown> };
  alternatives: { kind: string; why_not: string }[];
  champion: number | null;
  challenger: number | null;
  expected: Effect | null;
  realised: Effect | null;
  next_review_ms: number;
  run_id: string | null;
}
export interface Explanation {
  decision: Decision;
  recomputed: boolean;
  same: boolean;
  sentences: string[];
}

export type RunKind = "run" | "pipeline" | "step" | "trial";
export type RunStatus = "running" | "scheduled" | "finished" | "failed" | "killed" | "lost";
export interface Run {
  id: string;
  experiment: string;
  name: string;
  status: RunStatus;
  start_ms: number;
  end_ms: number | null;
  params: Record<string, string>;
  metrics: Record<string, number | null>;
  tags: Record<string, string>;
  parent_id: string | null;
  kind: RunKind;
  source: string;
  code_version: string;
  error: string | null;
  lifecycle?: "active" | "deleted";
  owner?: string;
}
export interface RunPage {
  runs: Run[];
  next: string | null;
}
export interface MetricRange {
  min: number | null;
  max: number | null;
  last: number | null;
  points: number;
  last_step: number;
}
/** A metric's course in few points; `low` and `high` are empty unless points were left out. */
export interface MetricCurve {
  run: string;
  key: string;
  points: number;
  steps: number[];
  at_ms: number[];
  values: (number | null)[];
  low: (number | null)[];
  high: (number | null)[];
}
/** How the runs of a search divide; the largest first. */
export interface RunFacets {
  runs: number;
  statuses: Partial<Record<RunStatus, number>>;
  kinds: Partial<Record<RunKind, number>>;
  experiments: Record<string, number>;
  metrics: Record<string, number>;
  params: Record<string, number>;
  tags: Record<string, number>;
}
export interface Artifact {
  path: string;
  digest: string;
  size: number;
  at_ms: number;
}
/** A kept view of the runs page: the query of its address. */
export interface RunView {
  name: string;
  query: string;
  owner: string;
  updated_ms: number;
}
/** The first rows of a Parquet or Arrow file. */
export interface ArtifactTable {
  columns: string[];
  types: string[];
  rows: (string | null)[][];
  total: number;
  all_columns: number;
}
export interface StepRun {
  name: string;
  status: "waiting" | "running" | "done" | "cached" | "failed" | "stopped";
  key: string;
  attempt: number;
  start_ms: number | null;
  end_ms: number | null;
  cached: boolean;
  why: string;
  run_id: string | null;
  error: string | null;
}
export interface PipelineRun {
  id: string;
  pipeline: string;
  status: "running" | "finished" | "failed" | "stopped";
  params: Record<string, unknown>;
  steps: StepRun[];
  start_ms: number;
  end_ms: number | null;
  run_id: string;
}
export interface PipelineRunPage {
  runs: PipelineRun[];
  next: string | null;
}

export interface Field {
  name: string;
  dtype: string;
  shape: number[];
}
export interface GateResult {
  gate: string;
  passed: boolean;
  value: number | null;
  limit: number | null;
  reason: string;
}
export interface ModelVersion {
  model: string;
  version: number;
  digest: string;
  flavor: string;
  status: "pending" | "valid" | "refused";
  created_ms: number;
  run_id: string | null;
  signature: { inputs: Field[]; outputs: Field[]; tensor: string | null };
  metrics: Record<string, number | null>;
  params: Record<string, string>;
  tags: Record<string, string>;
  size: number;
  files: Record<string, string>;
  environment: string[];
  onnx: { available: boolean; agrees: boolean; max_difference: number | null; tolerance: number; reason: string };
  data: { table: string; version: number }[];
  gates: GateResult[];
  description: string;
  aliases: string[];
  stage?: string;
}
export interface Model {
  name: string;
  description: string;
  versions: number;
  aliases: Record<string, number>;
  updated_ms: number;
  tags?: Record<string, string>;
}
export interface Change {
  name: string;
  first: string | number | null;
  second: string | number | null;
}
/** What differs between two versions, list by list. */
export interface VersionDiff {
  same_package: boolean;
  params: Change[];
  metrics: Change[];
  signature: Change[];
  files: Change[];
  environment: Change[];
  data: Change[];
  tags: Change[];
}
export interface HistoryEntry {
  id: number;
  action: string;
  at_ms: number;
  actor: string;
  digest: string;
  before: string;
  alias: string | null;
  previous: number | null;
  version: number | null;
  run_id: string | null;
  reason: string;
  detail: Record<string, unknown>;
}
export interface HistoryCheck {
  entries: number;
  intact: boolean;
  broken_at: number | null;
}
export interface ApprovalRule {
  alias: string;
  needed: number;
  approvers: string[];
  expires_s: number;
  own: boolean;
}
export interface AliasRequest {
  id: string;
  alias: string;
  version: number | null;
  previous: number | null;
  reason: string;
  actor: string;
  created_ms: number;
  expires_ms: number;
  status: "open" | "moved" | "rejected" | "expired" | "overtaken";
  votes: { actor: string; verdict: "approve" | "reject"; reason: string; at_ms: number }[];
  missing: string;
}
/** Where messages go; of its address only the host. */
export interface Channel {
  name: string;
  kind: string;
  target: string;
  events: string[];
  models: string[];
}
/** A message on its way. */
export interface Delivery {
  id: string;
  channel: string;
  event: string;
  title: string;
  status: "waiting" | "sent" | "dead";
  attempts: number;
  error: string;
  created_ms: number;
}
export interface Importance {
  feature: string;
  /** Share of what training gained by it; null where the model keeps no such figure. */
  gain: number | null;
  /** Mean absolute change of the prediction when its values are shuffled. */
  permutation: number;
}
export interface Route {
  version: number;
  weight: number;
  role: "champion" | "canary" | "shadow";
}
export interface CanaryPolicy {
  weights: number[];
  min_requests: number;
  hold_s: number;
  error_margin: number;
  slow_ratio: number;
  min_rewards: number;
  reward_margin: number;
  alpha: number;
}
/** A version that rises and falls by itself. */
export interface Canary {
  version: number;
  policy: CanaryPolicy;
  steps: { weight: number; at_ms: number }[];
  before: number;
}
export interface BanditPolicy {
  explore: number;
  min_rewards: number;
  window_s: number;
  hold_s: number;
}
export interface Bandit {
  versions: number[];
  since_ms: number;
  before: number;
}
export interface Deployment {
  model: string;
  routes: Route[];
  generation: number;
  updated_ms: number;
  key: string;
  time: string;
  sticky: "request" | "key";
  max_waiting: number;
  timeout_ms: number;
  callers: string[];
  rate_limit: number;
  log_share: number;
  redacted: string[];
  min_replicas: number;
  max_replicas: number;
  idle_s: number;
  canary: Canary | null;
  bandit: Bandit | null;
  /** The models that a graph asks, NAME or NAME/VERSION; none for a model. */
  members: string[];
}
export interface GraphWhen {
  column: string | null;
  parameter: string | null;
  op: string;
  value: string | number | boolean | null | (string | number | boolean)[];
}
/** A node of a graph of models. */
export type GraphNode =
  | { type: "model"; name: string; version: number | null }
  | { type: "sequence"; steps: GraphNode[] }
  | { type: "ensemble"; members: GraphNode[]; combine: string; weights: number[] }
  | { type: "switch"; cases: { when: GraphWhen; then: GraphNode }[]; otherwise: GraphNode }
  | { type: "splitter"; shares: { weight: number; node: GraphNode }[]; sticky: "request" | "key" }
  | { type: "lookup"; table: string; view: string; version: number | null; key: string[]; columns: string[] };
export interface DeclaredGraph {
  model: string;
  version: number;
  graph: GraphNode;
  members: string[];
}
/** What a node of a graph was asked lately: `node` is its path, `name` the model or table that it asks. */
export interface NodeTraffic {
  node: string;
  name: string;
  requests: number;
  failed: number;
  latency_ms: number | null;
  latency_p95_ms: number | null;
}
export interface GraphTraffic {
  model: string;
  version: number;
  from_ms: number;
  to_ms: number;
  log_share: number;
  nodes: NodeTraffic[];
}
/** One generation of a deployment. */
export interface DeploymentChange {
  generation: number;
  routes: Route[];
  reason: string;
  actor: string;
  at_ms: number;
  back_to: number | null;
}
/** What one data-plane process has made of a deployment. */
export interface ServingState {
  plane: string;
  model: string;
  generation: number;
  state: "loading" | "ready" | "unloaded" | "failed";
  reason: string;
}
export interface Endpoint {
  rest_url: string;
  live: boolean;
}
export interface VersionTraffic {
  version: number;
  route: Route["role"] | "direct";
  requests: number;
  failed: number;
  latency_ms: number | null;
  latency_p95_ms: number | null;
}
export interface TrafficPoint extends VersionTraffic {
  at_ms: number;
}
/** What was answered lately, by version and step of time. */
export interface Traffic {
  model: string;
  from_ms: number;
  to_ms: number;
  step_ms: number;
  log_share: number;
  requests: number;
  failed: number;
  latency_ms: number | null;
  latency_p95_ms: number | null;
  versions: VersionTraffic[];
  points: TrafficPoint[];
}
export interface CanaryReview {
  version: number;
  weight: number;
  judgement: {
    action: "wait" | "step" | "promote" | "roll_back";
    reason: string;
    errors_evidence: number;
    slow_evidence: number;
    error_rate_lo: number | null;
    error_rate_hi: number | null;
    reward_lo: number | null;
    reward_hi: number | null;
  };
  at_ms: number;
}
export interface BanditReview {
  versions: { version: number; weight: number; rewards: number; mean: number; best: number }[];
  at_ms: number;
}
/** One output of a shadow beside what was answered. */
export interface OutputDifference {
  output: string;
  equal: number;
  mean: number | null;
  mean_answered: number | null;
  difference_mean: number | null;
  difference_p95: number | null;
  difference_max: number | null;
  correlation: number | null;
  /** (answered, shadow) of some rows. */
  pairs: [number, number][];
}
export interface ShadowComparison {
  version: number;
  requests: number;
  rows: number;
  failed: number;
  latency_ms: number | null;
  latency_p95_ms: number | null;
  latency_answered_ms: number | null;
  latency_answered_p95_ms: number | null;
  outputs: OutputDifference[];
  most_different: { request_id: string; row: number; output: string; answered: string; shadow: string }[];
}
/** What a model answered to the form: the protocol's answer, and how long the data plane took. */
export interface Predicted {
  took_ms: number;
  answer: {
    id?: string;
    model_version?: string;
    parameters?: Record<string, unknown>;
    outputs: { name: string; datatype: string; shape: number[]; data: unknown[] }[];
  };
}
/** A row of the prediction log. */
export interface LoggedAnswer {
  request_id: string;
  row: number;
  key: string | null;
  time_ms: number;
  logged_ms: number;
  version: number;
  route: string;
  latency_ms: number;
  status: number;
  outputs: Record<string, unknown>;
  inputs: Record<string, unknown>;
}
export interface LineageNode {
  id: string;
  kind: string;
  label: string;
  version: string | null;
  run_id: string | null;
  at_ms: number;
}
export interface Lineage {
  nodes: LineageNode[];
  edges: { source: string; target: string }[];
  truncated: boolean;
}

export interface Column {
  name: string;
  type: string;
  nullable: boolean;
}
export interface Table {
  name: string;
  version: number;
  rows: number;
  columns: Column[];
  bytes: number;
  key: string[];
  updated_ms: number;
  description: string;
}
export interface CheckResult {
  check: string;
  column: string | null;
  passed: boolean;
  severity: "error" | "warn" | "info";
  observed: string;
  expected: string;
  rows: number;
  message: string;
}
export interface CheckReport {
  table: string;
  version: number;
  passed: boolean;
  at_ms: number;
  results: CheckResult[];
}
export interface CleanReport {
  table: string;
  rows_in: number;
  rows_out: number;
  findings: CheckResult[];
}
export interface TableVersion {
  table: string;
  version: number;
  rows: number;
  bytes: number;
  digest: string;
  operation: "append" | "overwrite" | "upsert";
  message: string;
  source: string;
  run_id: string | null;
  created_ms: number;
  check: CheckReport | null;
  clean: CleanReport | null;
}
export interface ColumnProfile {
  name: string;
  type: string;
  count: number;
  nulls: number;
  distinct: number;
  min: string | null;
  max: string | null;
  mean: number | null;
  histogram: { low: number; high: number; count: number }[];
  levels: { value: string; count: number }[];
}
export interface TableProfile {
  table: string;
  version: number;
  rows: number;
  columns: ColumnProfile[];
}
export interface WorkspaceEvent {
  id: number;
  name: string;
  at_ms: number;
  payload: Record<string, unknown>;
}
