"""What a full review looks at: limits, estimates, drift, the gap, labels, age, broken inputs."""

from __future__ import annotations

import polars as pl

from homeostat.core.errors import NotFound
from homeostat.core.workspace import Workspace
from homeostat.data import list_versions
from homeostat.loop.facts import Estimated, Fault, Gap, Labels, Moved, ReviewFacts
from homeostat.loop.model import VariableStatus
from homeostat.loop.quick_challenger import quick_gap
from homeostat.loop.record import decisions_of, reviews_of
from homeostat.loop.subject import Subject
from homeostat.loop.windows import choose_window, words_for
from homeostat.monitoring import (
    column_quality,
    count_labels,
    drift_report,
    estimate,
    fitted_until,
    measured,
    reference_of,
)

_MIN_ESTIMATED = 500


def gather_review(subject: Subject, variables: list[VariableStatus]) -> ReviewFacts:
    """Everything the review's rule reads, as of the subject's moment."""
    s = subject
    champion = s.version(s.champion)
    moved, faults, columns = _inputs(s)
    window = s.judging
    known = fitted_until(champion) or s.champion_since_ms or 0
    rows = champion.params.get("rows") or champion.tags.get("rows")
    reviews = reviews_of(s.ws, s.model, s.at_ms)
    retrains = decisions_of(s.ws, s.model, before_ms=s.at_ms, kinds=["retrain"])
    return ReviewFacts(
        model=s.model,
        at_ms=s.at_ms,
        champion=s.champion,
        champion_since_ms=s.champion_since_ms or s.at_ms,
        variables=variables,
        faults=[*faults, *_stale(variables), *_failed_checks(s)],
        gap=None if s.canary is not None or faults else _gap(s),
        moved=moved,
        columns=columns,
        estimated=_estimated(s, reviews),
        labels=Labels(
            matured=window.labelled().height,
            since=count_labels(s.ws, s.model, known, s.at_ms),
            overdue=window.overdue,
            predictions=window.frame.height,
            trained_on=int(rows) if rows and rows.isdigit() else None,
            asked=_asked(window.frame),
        ),
        retrains_ms=[d.at_ms for d in reversed(retrains)],
        canary=s.canary,
        pipeline=s.config.pipeline,
        data=_data(s),
    )


def _gap(s: Subject) -> Gap | None:
    """The gap of a quick challenger that learnt from the past that did best on the span before."""
    window, since_ms = choose_window(s)
    return quick_gap(s, since_ms, f"a quick challenger on {words_for(window)}")


def _inputs(s: Subject) -> tuple[list[Moved], list[Fault], int]:
    """Columns that moved, columns that broke, and how many were looked at. Nothing while there is no reference."""
    log = s.judging.frame.filter(pl.col("score").is_not_null())
    reference = reference_of(s.ws, s.model, s.champion, s.judge_from_ms, s.config.training)
    if reference is None or log.height < 100:
        return [], [], 0
    report = drift_report(s.ws, s.model, s.champion, log, reference, s.judge_from_ms, s.matured_ms)
    broken = {c.name: c.fault for c in column_quality(report.columns) if c.fault}
    moved = [
        Moved(name=c.name, effect=c.effect, importance=c.importance, why=c.why)
        for c in report.columns
        if c.drifted and c.name not in broken
    ]
    version = _newest(s.ws, s.config.data.table, s.at_ms) if broken and s.config.data else None
    faults = [Fault(source=name, what=fault, version=version) for name, fault in broken.items()]
    return moved, faults, len(report.columns)


def _stale(variables: list[VariableStatus]) -> list[Fault]:
    return [
        Fault(source=v.of or v.label, what=f"its newest row is {v.detail}") for v in variables
        if v.measure == "freshness" and v.state == "out"
    ]  # fmt: skip


def _failed_checks(s: Subject) -> list[Fault]:
    """Tables of the configuration whose newest version, of those there were by then, failed its checks."""
    names = ([s.config.data.table] if s.config.data else []) + list(s.config.sources)
    faults: list[Fault] = []
    for name in dict.fromkeys(names):
        try:
            newest = next((v for v in list_versions(s.ws, name, limit=50) if v.created_ms <= s.at_ms), None)
        except NotFound:
            continue
        if newest is not None and newest.check is not None and not newest.check.passed:
            failed = next((r for r in newest.check.results if not r.passed and r.severity == "error"), None)
            what = failed.message if failed else "its checks failed"
            faults.append(Fault(source=name, what=what, version=f"{name}/{newest.version}", since_ms=newest.created_ms))
    return faults


def _newest(ws: Workspace, table: str, at_ms: int) -> str | None:
    try:
        return next((f"{table}/{v.version}" for v in list_versions(ws, table) if v.created_ms <= at_ms), None)
    except NotFound:
        return None


def _estimated(s: Subject, reviews: list[ReviewFacts]) -> list[Estimated]:
    """Expected AUC of the judging window, and how far earlier estimates of this model were off once labels came."""
    found = estimate(s.ws, s.model, s.judge_from_ms, s.matured_ms, s.champion, s.at_ms)
    if found.auc is None or found.n < _MIN_ESTIMATED:
        return []
    past = [e for review in reviews for e in review.estimated if e.off is not None]
    errors = [e.off for e in past if e.off is not None]
    rows = s.judging.labelled().filter(pl.col("version") == s.champion)
    real = measured(rows, "auc", 1.0)
    off = abs(found.auc - real.value) if real.known and rows.height >= _MIN_ESTIMATED else None
    track = sum(errors) / len(errors) if errors else None
    return [Estimated(measure="auc", value=found.auc, n=found.n, track=track, tracked=len(errors), off=off)]


def _asked(frame: pl.DataFrame, most: int = 5) -> list[str]:
    """Keys of unlabelled predictions the model was least sure of: their truth would tell most."""
    open_rows = frame.filter(pl.col("label").is_null() & pl.col("score").is_not_null() & pl.col("key").is_not_null())
    nearest = open_rows.with_columns((pl.col("score") - 0.5).abs().alias("_doubt")).sort("_doubt", "key").head(most)
    return nearest["key"].to_list()


def _data(s: Subject) -> list[str]:
    """Names of what was read: versions of the model and of the training table."""
    named = [f"{s.model}/{s.champion}"]
    if s.config.data is not None:
        named.append(_newest(s.ws, s.config.data.table, s.at_ms) or s.config.data.table)
    return named
