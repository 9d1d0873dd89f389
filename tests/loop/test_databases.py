"""One week of a model's life on each database: a look, a review, the same look again."""

from __future__ import annotations

from pathlib import Path

import homeostat as hs
from tests.loop.conftest import CONFIG, Life
from tests.monitoring.world import World


def test_a_week_is_lived_alike_on_every_database(any_ws: hs.Workspace, project: Path) -> None:
    life = Life(any_ws, World(-40, 60, per_day=130), project, CONFIG.replace("[all, last-20d]", "[all]"), since_day=-3)
    made = life.days(0, 8)
    assert [d.kind for d in made] == ["retrain", "promote"]
    assert life.look(6) == made
    assert all(any_ws.loop.why(d.id).same for d in made)
    assert [r.weight for r in any_ws.serving.get_deployment("m").routes] == [0.9, 0.1]
