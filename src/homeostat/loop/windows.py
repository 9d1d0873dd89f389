"""Which past to learn from: all, the last days, or what came since the world changed. Back-tested, not assumed."""

from __future__ import annotations

from homeostat.loop.hold import span_ms
from homeostat.loop.quick_challenger import challenge
from homeostat.loop.subject import Subject
from homeostat.loop.words import span
from homeostat.monitoring import auc, change_point, fitted_until


def choose_window(subject: Subject) -> tuple[str, int]:
    """The window of the past to learn from, and where it starts (ms).

    Each is back-tested by a quick challenger on the judging window's forerunner, so the judging window stays unseen.
    The first written wins where they tie or cannot be told apart.
    """
    s = subject
    windows = s.config.learn.windows
    if len(windows) == 1:
        return windows[0], since_of(s, windows[0], s.judge_from_ms)
    test = Subject(s.ws, s.applied, s.judge_from_ms + s.config.within_ms)
    rows = test.judging.labelled()
    best, best_score = windows[0], float("-inf")
    if rows.height >= 2 and rows["label"].n_unique() == 2:
        for window in windows:
            since = since_of(s, window, test.judge_from_ms)
            scores = challenge(test, s.features(s.champion), rows, since, test.judge_from_ms)
            value = auc(rows["label"].to_numpy(), scores) if scores is not None else float("-inf")
            if value > best_score:
                best, best_score = window, value
    return best, since_of(s, best, s.judge_from_ms)


def since_of(subject: Subject, window: str, until_ms: int) -> int:
    """Where a window of the past starts when it ends at `until_ms`."""
    if window == "all":
        return 0
    if window == "since-change":
        return changed_at(subject)
    return until_ms - span_ms(window.removeprefix("last-"), "learn.windows")


def changed_at(subject: Subject) -> int:
    """The day from which on the champion's loss is of another level; 0 when there is no such day."""
    s = subject
    fitted = fitted_until(s.version(s.champion)) or 0
    days, losses = s.daily_losses(fitted)
    at = change_point(losses)
    return 0 if at is None else int(days[at])


def words_for(window: str) -> str:
    """What a window of the past is called in a sentence.

    >>> words_for("all"), words_for("last-60d"), words_for("since-change")
    ('all history', 'the last 60 days only', 'what came since the change')
    """
    if window == "all":
        return "all history"
    if window == "since-change":
        return "what came since the change"
    return f"the last {span(span_ms(window.removeprefix('last-')))} only"
