"""What a search of runs asks."""

from __future__ import annotations

from typing import Any, NamedTuple


class Search(NamedTuple):
    """What is looked for. `order` holds (entity, key, ascending); `after` is a page's token."""

    experiments: list[int]
    stages: tuple[str, ...]
    tree: Any | None
    order: list[tuple[str, str, bool]]
    limit: int
    after: str
