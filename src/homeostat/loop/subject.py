"""The model a look is about: its configuration, how it is deployed, since when, and the log around the moment."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from homeostat.core.workspace import Workspace
from homeostat.loop.applied import Applied
from homeostat.loop.config import Config
from homeostat.loop.record import decisions_of
from homeostat.registry import ModelVersion, get_version, load_model
from homeostat.serving import Deployment, get_deployment

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from homeostat.monitoring import Joined

DAY_MS = 86_400_000


class Subject:
    """One model at one moment. What is read is read once; everything known later than `at_ms` is left out."""

    def __init__(self, ws: Workspace, applied: Applied, at_ms: int) -> None:
        self.ws = ws
        self.applied = applied
        self.config: Config = applied.config
        self.model = applied.config.model
        self.at_ms = at_ms

    @cached_property
    def deployment(self) -> Deployment:
        """How the model is deployed. Raises NotFound when it is not."""
        return get_deployment(self.ws, self.model)

    @property
    def champion(self) -> int:
        """The champion's version."""
        return self.deployment.champion

    @property
    def canary(self) -> int | None:
        """The version that is being let in, if one is."""
        return next((r.version for r in self.deployment.routes if r.role == "canary"), None)

    def version(self, number: int) -> ModelVersion:
        """A registered version."""
        return get_version(self.ws, self.model, number)

    def features(self, number: int) -> list[str]:
        """The names of a version's inputs."""
        return [field.name for field in self.version(number).signature.inputs]

    @cached_property
    def matured_ms(self) -> int:
        """The end of what can be judged: predictions before it have had the time their truth may take."""
        return self.at_ms - self.config.within_ms

    @property
    def judge_from_ms(self) -> int:
        """The start of the judging window."""
        return self.matured_ms - self.config.judge_ms

    @cached_property
    def judging(self) -> Joined:
        """The judging window with every logged input and the truth known by now."""
        from homeostat.monitoring import joined

        return joined(self.ws, self.model, self.judge_from_ms, self.matured_ms, self.at_ms, self.config.within_ms)

    @cached_property
    def champion_since_ms(self) -> int | None:
        """When the champion came to serve: its promotion, or the end of its training data; None: not known."""
        from homeostat.monitoring import fitted_until

        for made in decisions_of(self.ws, self.model, before_ms=self.at_ms + 1, kinds=["promote"]):
            if made.challenger == self.champion:
                return made.at_ms
        return fitted_until(self.version(self.champion))

    @cached_property
    def first_version(self) -> int:
        """The version that was champion before the loop decided anything: what never learning again would have left."""
        made = decisions_of(self.ws, self.model, limit=10_000, before_ms=self.at_ms + 1)
        first = next((d.champion for d in reversed(made) if d.champion is not None), None)
        return first if first is not None else self.champion

    def scores(self, number: int, rows: pl.DataFrame) -> NDArray[np.float64]:
        """What version `number` says to logged rows: as it answered where it did, computed otherwise. Shape (n,)."""
        import numpy as np
        import polars as pl

        if rows.is_empty():
            return np.zeros(0)
        answered = rows["score"].to_numpy().astype(np.float64)
        other = (rows["version"].to_numpy() != number) | np.isnan(answered)
        if other.any():
            asked = rows.filter(pl.Series(other)).select(pl.col(self.features(number)).cast(pl.Float32))
            answered = answered.copy()
            answered[other] = load_model(self.ws, self.model, number).predict(asked).astype(np.float64)
        return answered

    def daily_losses(self, since_ms: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Mean log loss of the champion's own answers by day: days (ms), losses. Days with ten rows count."""
        import polars as pl

        from homeostat.monitoring import joined, log_losses

        found = joined(self.ws, self.model, since_ms, self.judge_from_ms, self.at_ms, self.config.within_ms, [])
        rows = found.labelled().filter(pl.col("version") == self.champion)
        loss = log_losses(rows["label"].to_numpy(), rows["score"].to_numpy())
        daily = (
            rows.with_columns(pl.Series("loss", loss), (pl.col("time_ms") // DAY_MS * DAY_MS).alias("day"))
            .group_by("day")
            .agg(pl.col("loss").mean(), pl.len())
            .filter(pl.col("len") >= 10)
            .sort("day")
        )
        return daily["day"].to_numpy(), daily["loss"].to_numpy()
