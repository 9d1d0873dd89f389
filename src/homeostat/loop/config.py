"""`homeostat.yaml`: what must hold for a model, how it may learn, how a new version comes in.

`model` and `hold` are enough; everything else has a default. A key that is not known is refused with the nearest one.
"""

from __future__ import annotations

import difflib
from typing import Any, Literal

import msgspec

from homeostat.core.errors import InvalidInput
from homeostat.core.paths import check_name
from homeostat.core.records import Record
from homeostat.loop.canary import CanaryRule, read_steps
from homeostat.loop.decide import ReviewRule
from homeostat.loop.hold import Variable, parse_variable, span_ms
from homeostat.loop.judge import JudgeRule, read_conditions
from homeostat.monitoring import TrainingTable

_LEAST_ROWS = 1000  # a quick challenger that learns from fewer would hide every gap


class DataConfig(Record):
    """The table of examples: its name, the column of the moment of prediction, the column of the row's key."""

    table: str
    time: str
    key: str | None = None


class LabelsConfig(Record):
    """When truth arrives: at most `within` after the prediction. `known` is the column that says when, where kept."""

    within: str = "24h"
    known: str | None = None
    source: str | None = msgspec.field(default=None, name="from")


class SourceConfig(Record):
    """A table whose freshness is held: the column of its rows' time (default: its last write counts)."""

    time: str | None = None


class LearnConfig(Record):
    """When and from what to learn again.

    `review` is how often a full look is taken, `judge` the span of labelled predictions on which models are compared,
    `min_gain` the AUC below which a retraining does not pay. A look learns from `quick_rows` rows at most, spread
    evenly over the past: more of them cost time and see smaller gains. `windows` are the pasts that are back-tested;
    `params` go to the pipeline as they are.
    """

    windows: list[str] = msgspec.field(default_factory=lambda: ["all"])
    tune: dict[str, Any] = msgspec.field(default_factory=dict)
    at_most: str = "1 per 7d"
    review: str = "14d"
    judge: str = "14d"
    min_gain: float = 0.0075
    min_rows: int = 2000
    quick_rows: int = 500_000
    params: dict[str, Any] = msgspec.field(default_factory=dict)


class PromoteConfig(Record):
    """What a challenger must show, and how it comes in. `error` is the chance of ever promoting an equal model."""

    when: list[str] = msgspec.field(default_factory=lambda: ["better", "no_slice_worse_by 0.02", "explained"])
    by: str = "canary 5% 25% 100%"
    approve: list[str] = msgspec.field(default_factory=list)
    slices: list[str] = msgspec.field(default_factory=list)
    error: float = 0.05
    worse_by: float = 0.01
    step_rows: int = 300
    step_every: str = "1h"
    within: str = "14d"


class Config(Record):
    """One model's configuration, as written."""

    model: str
    hold: list[str]
    predict: str = "label"
    pipeline: str | None = None
    data: DataConfig | None = None
    sources: dict[str, SourceConfig] = msgspec.field(default_factory=dict)
    features: list[str] = msgspec.field(default_factory=list)
    labels: LabelsConfig = msgspec.field(default_factory=LabelsConfig)
    learn: LearnConfig = msgspec.field(default_factory=LearnConfig)
    promote: PromoteConfig = msgspec.field(default_factory=PromoteConfig)
    notify: list[str] = msgspec.field(default_factory=list)
    clock: Literal["real", "replay"] = "real"

    @property
    def variables(self) -> list[Variable]:
        """The essential variables, in the order written."""
        return [parse_variable(text) for text in self.hold]

    @property
    def within_ms(self) -> int:
        """How long truth may take."""
        return span_ms(self.labels.within, "labels.within")

    @property
    def judge_ms(self) -> int:
        """The span on which models are compared."""
        return span_ms(self.learn.judge, "learn.judge")

    @property
    def training(self) -> TrainingTable | None:
        """Where the training rows lie, where `data` says so."""
        if self.data is None:
            return None
        return TrainingTable(
            table=self.data.table, time=self.data.time, key=self.data.key, target=self.predict,
            known=self.labels.known, within_ms=self.within_ms,
        )  # fmt: skip

    @property
    def sliced_by(self) -> list[str]:
        """Columns by which a challenger is compared: those named, else those the variables are sliced by."""
        return self.promote.slices or list(dict.fromkeys(v.by for v in self.variables if v.by))

    def review_rule(self) -> ReviewRule:
        """The parameters of the review."""
        times, per_ms = _budget(self.learn.at_most)
        return ReviewRule(
            min_gain=self.learn.min_gain, at_most=times, at_most_per_ms=per_ms, min_new_rows=self.learn.min_rows,
            every_ms=span_ms(self.learn.review, "learn.review"),
        )  # fmt: skip

    def judge_rule(self) -> JudgeRule:
        """The parameters of the judgement."""
        steps = " → ".join(f"{s * 100:g}" for s in read_steps(self.promote.by))
        rule = JudgeRule(
            error=self.promote.error, min_n=self.learn.min_rows, approve=", ".join(self.promote.approve),
            by=f"{steps} %", every_ms=span_ms(self.learn.review, "learn.review"),
        )  # fmt: skip
        return read_conditions(self.promote.when, rule)

    def canary_rule(self) -> CanaryRule:
        """The parameters of the canary; its limits are those held, generously."""
        held = {v.measure: v.limit for v in self.variables}
        usual = CanaryRule()
        return CanaryRule(
            steps=read_steps(self.promote.by), worse_by=self.promote.worse_by, step_rows=self.promote.step_rows,
            step_every_ms=span_ms(self.promote.step_every, "promote.step_every"),
            max_ms=span_ms(self.promote.within, "promote.within"),
            max_errors=max(usual.max_errors, held.get("errors", 0.0)),
            max_p99_ms=max(usual.max_p99_ms, usual.latency_factor * held.get("latency_p99", 0.0)),
            every_ms=span_ms(self.learn.review, "learn.review"),
        )  # fmt: skip


def read_config(text: str) -> Config:
    """A configuration from YAML text, checked to the last value.

    Raises InvalidInput naming the place, what is wrong and the nearest right word.

    >>> read_config("model: m\\nhold: [auc >= 0.7 over 14d]").learn.review
    '14d'
    """
    import yaml

    try:
        raw: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"homeostat.yaml is not YAML: {error}") from error
    except RecursionError:
        raise InvalidInput("homeostat.yaml is nested too deep to be read") from None
    if not isinstance(raw, dict):
        what = "is empty" if raw is None else "holds no keys"
        raise InvalidInput(f"homeostat.yaml {what}", hint="it needs 'model:' and 'hold:'")
    _check_keys(raw, Config, "")
    for needed in ("model", "hold"):
        if needed not in raw:
            raise InvalidInput(f"homeostat.yaml has no '{needed}'", hint=f"add '{needed}:'")
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"homeostat.yaml: {error}") from error
    _check_values(config)
    return config


def _check_keys(raw: dict[str, Any], kind: type[Record], where: str) -> None:
    known = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in raw.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"{where or 'it'} takes {', '.join(known)}"
            raise InvalidInput(f"homeostat.yaml has no key '{where}{str(key)[:80]}'", hint=hint, key=str(key)[:80])
        nested = _record_in(known[key])
        if nested is not None and isinstance(value, dict):
            _check_keys(value, nested, f"{where}{key}.")


def _record_in(kind: Any) -> type[Record] | None:
    options = getattr(kind, "__args__", None) or (kind,)
    if getattr(kind, "__origin__", None) is dict:
        return None
    return next((o for o in options if isinstance(o, type) and issubclass(o, Record)), None)


def _check_values(config: Config) -> None:
    check_name(config.model, "model name")
    if not config.hold:
        raise InvalidInput("hold: is empty", hint="say what must hold, such as 'auc >= 0.72 over 14d'")
    for text in config.hold:
        parse_variable(text)
    for window in config.learn.windows:
        if window not in ("all", "since-change"):
            if not window.startswith("last-"):
                hint = "write all, since-change or last-60d"
                raise InvalidInput(f"learn.windows: {window!r} is not a window", hint=hint)
            span_ms(window.removeprefix("last-"), "learn.windows")
    if config.learn.quick_rows < _LEAST_ROWS:
        raise InvalidInput(
            f"learn.quick_rows: {config.learn.quick_rows} rows teach nothing", hint=f"write {_LEAST_ROWS} or more"
        )
    for read in (config.review_rule, config.judge_rule, config.canary_rule):
        read()
    span_ms(config.labels.within, "labels.within")
    span_ms(config.learn.judge, "learn.judge")
    if config.pipeline is not None and ":" not in config.pipeline:
        raise InvalidInput(f"pipeline: {config.pipeline!r} names no function", hint="write module:function")


def _budget(text: str) -> tuple[int, int]:
    count, _, per = text.partition(" per ")
    if not count.strip().isdigit() or int(count) < 1 or not per:
        raise InvalidInput(f"learn.at_most: {text!r} cannot be read", hint="write '1 per 7d'")
    return int(count), span_ms(per, "learn.at_most")
