"""Records of serving: what is deployed, how it is routed, where it is reached."""

from __future__ import annotations

from typing import Any, Literal

from homeostat.core.event import Event
from homeostat.core.records import Record
from homeostat.serving.bandit import BanditPolicy
from homeostat.serving.canary import CanaryPolicy, Judgement

Role = Literal["champion", "canary", "shadow"]

# The prediction log's column of a graph: the versions that answered, NAME/VERSION, by their places in the graph.
MEMBERS = "members"
# And before the path of a node: how long it took, in microseconds; of a failed request, the node that failed.
NODE_TIME = "us:"
FAILED_NODE = "failed_node"

# How a logged prediction was routed. "direct": the request named a version itself.
ROLES = ("champion", "canary", "shadow", "direct")


class Route(Record):
    """A share of a model's requests for one version.

    The weights of champion and canaries add up to 1. A shadow's weight is the share of requests that are mirrored to
    it; its answers are logged and never sent.
    """

    version: int
    weight: float = 1.0
    role: Role = "champion"


class CanaryStep(Record):
    """A share of the requests, and since when."""

    weight: float
    at_ms: int


class Canary(Record):
    """A version that rises and falls by itself. `slow_us`: what counts as a slow answer; 0 when the champion had
    answered too little to tell. `before`: the generation that it goes back to."""

    version: int
    policy: CanaryPolicy
    steps: list[CanaryStep]
    slow_us: int
    before: int


class Bandit(Record):
    """Versions, the champion first, that share the requests by what they earn. `before`: the generation that a
    rollback returns to."""

    versions: list[int]
    policy: BanditPolicy
    since_ms: int
    before: int


class Deployment(Record):
    """A model behind its stable endpoint. `generation` grows by one with every change;
    `updated_ms` is when its routes last changed.

    `key` and `time` name the request tensors that are not the model's inputs but go into the prediction log: the
    row's key (BYTES or INT64) and the time of its event (INT64, ms UTC). `sticky` says what a route is chosen by: the
    request id, or the first row's key.

    A model too slow for the event loop has a queue of at most `max_waiting` requests; further ones are answered 429. A
    request that has waited and computed for `timeout_ms` is answered 504; it may set a shorter time itself.

    `callers` are the users whose tokens may ask for predictions; nobody named: all who may read. Each of them may ask
    `rate_limit` times a second (0: as often as they like), counted by each process for itself; further requests are
    answered 429.

    `log_share` of the requests go to the prediction log, chosen by their ids; the inputs named in `redacted` never do,
    and are not watched for drift.

    A model too slow for the event loop is computed by `min_replicas` to `max_replicas` at once, as the load asks for:
    worker processes, or threads for models that compute in this one. Every data-plane process counts for itself.

    With `min_replicas` above 0 a model stays in memory; otherwise it is unloaded after `idle_s` seconds without a
    request (0: never), and where the models of a process may take no more than a memory budget, when it is the one not
    asked for longest. The next request is held while it is loaded again.

    `members` are the models that the graphs among the routes ask (see `deploy_graph`): NAME, or NAME/VERSION where a
    graph insists on one. None for a model.
    """

    model: str
    routes: list[Route]
    salt: str
    generation: int
    updated_ms: int
    sticky: Literal["request", "key"] = "request"
    key: str = "key"
    time: str = "time"
    max_waiting: int = 2048
    timeout_ms: int = 30_000
    callers: list[str] = []
    rate_limit: float = 0.0
    log_share: float = 1.0
    redacted: list[str] = []
    min_replicas: int = 0
    max_replicas: int = 1
    idle_s: float = 0.0
    canary: Canary | None = None
    bandit: Bandit | None = None
    members: list[str] = []

    @property
    def champion(self) -> int:
        """The version of the champion route."""
        return next(route.version for route in self.routes if route.role == "champion")


class DeploymentChange(Record):
    """One generation of a deployment, as it was recorded. `reason`: "deploy", "routes", "rollback", "undeploy",
    "options", "canary", "canary step", "canary promoted", "canary back", "bandit" or "bandit shares". `back_to`: the
    generation whose routes a rollback from this one returns to; None when there is none."""

    model: str
    generation: int
    routes: list[Route]
    reason: str
    actor: str
    at_ms: int
    back_to: int | None = None


class Endpoint(Record):
    """Where predictions are asked for. `live` is false when the data plane has not been heard of lately."""

    rest_url: str
    live: bool


class ServingState(Record):
    """What one data-plane process has made of a deployment: "loading", "ready", "unloaded" (the next request
    loads it) or "failed" with its reason. The reason of "ready" is how many replicas there are, if not one."""

    plane: str
    model: str
    generation: int
    state: str
    reason: str


class Feedback(Record):
    """What the answer to a request turned out to be worth: more is better."""

    request_id: str
    reward: float


class CanaryReview(Record):
    """What was found of a canary at a look, and the weight that it has from then on (0: taken back)."""

    model: str
    version: int
    weight: float
    judgement: Judgement
    at_ms: int


class BanditArm(Record):
    """A version of a bandit: its share of the requests, the rewards that count and their mean, and the probability
    that no other is better."""

    version: int
    weight: float
    rewards: int
    mean: float
    best: float


class BanditReview(Record):
    """What was found of a bandit at a look, and whether its shares were changed."""

    model: str
    changed: bool
    versions: list[BanditArm]
    at_ms: int


class Comparison(Record):
    """A version beside the champion (`baseline`), on one measure: observations and means of both, the difference, and
    an interval that holds at every look; None while there is too little of one of them."""

    measure: str
    version: int
    baseline: int
    n: int
    n_baseline: int
    mean: float
    mean_baseline: float
    difference: float
    lo: float | None
    hi: float | None
    verdict: Literal["better", "worse", "undecided"]


class OutputDifference(Record):
    """One output of a shadow beside what was answered. `equal`: the share of rows where both are the same, numbers
    within the tolerance. For numbers also the means of both, how far apart they are (mean, 95th percentile, greatest)
    and their correlation; None for texts, and where it has no meaning. `pairs`: (answered, shadow) of some rows, evenly
    chosen, to draw one against the other."""

    output: str
    equal: float
    mean: float | None = None
    mean_answered: float | None = None
    difference_mean: float | None = None
    difference_p95: float | None = None
    difference_max: float | None = None
    correlation: float | None = None
    pairs: list[tuple[float, float]] = []


class DifferentAnswer(Record):
    """A row that a shadow answered otherwise: where it is found in the prediction log, and both answers as text."""

    request_id: str
    row: int
    output: str
    answered: str
    shadow: str


class ShadowComparison(Record):
    """A shadow beside what was answered to the same requests. `rows` were answered by both; `failed` requests by the
    shadow alone were not. Latencies are medians and 95th percentiles in milliseconds, the shadow's without any wait."""

    version: int
    requests: int
    rows: int
    failed: int
    latency_ms: float | None
    latency_p95_ms: float | None
    latency_answered_ms: float | None
    latency_answered_p95_ms: float | None
    outputs: list[OutputDifference]
    most_different: list[DifferentAnswer]


class VersionTraffic(Record):
    """What one version answered by one route: requests, those that the model failed on, median and 95th percentile of
    the latency of the others in milliseconds (None when there were none)."""

    version: int
    route: str
    requests: int
    failed: int
    latency_ms: float | None
    latency_p95_ms: float | None


class TrafficPoint(VersionTraffic):
    """The same for a step of time that begins at `at_ms`. Steps without requests have no point."""

    at_ms: int


class Traffic(Record):
    """The logged requests of a model in [from_ms, to_ms), in steps of `step_ms`; of those, `log_share` are logged.

    `versions` tells of the whole time, by version and route; `points` of each step, in the order of time. The model's
    own figures leave the shadows out.
    """

    model: str
    from_ms: int
    to_ms: int
    step_ms: int
    log_share: float
    requests: int
    failed: int
    latency_ms: float | None
    latency_p95_ms: float | None
    versions: list[VersionTraffic]
    points: list[TrafficPoint]


class NodeTraffic(Record):
    """What a node of a graph, at the path `node`, was asked lately: the model or table of that name. `requests` that
    came there, those that it ended by failing, median and 95th percentile of the time of the others in milliseconds."""

    node: str
    name: str
    requests: int
    failed: int
    latency_ms: float | None
    latency_p95_ms: float | None


class GraphTraffic(Record):
    """The nodes of a version of a graph in [from_ms, to_ms), in the order in which they are written; of the requests,
    `log_share` are logged."""

    model: str
    version: int
    from_ms: int
    to_ms: int
    log_share: float
    nodes: list[NodeTraffic]


class LoggedAnswer(Record):
    """A row of the prediction log: what one version answered to a row of a request, and the inputs as they are kept."""

    request_id: str
    row: int
    key: str | None
    time_ms: int
    logged_ms: int
    version: int
    route: str
    latency_ms: float
    status: int
    outputs: dict[str, Any]
    inputs: dict[str, Any]


class FoldResult(Record):
    """What a fold moved from the spool into the repository: spool files taken in, prediction rows, Parquet files."""

    files: int
    rows: int
    segments: int


class DeploymentChanged(Event, tag="deployment_changed"):
    """The routes of a model are others now. An empty list: it is no longer deployed."""

    model: str
    generation: int
    routes: list[Route]
    reason: str
