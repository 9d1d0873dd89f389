"""The records that the pages are tested with: one year of the flights of 2013, as measured where it was measured.

Monthly AUC of the frozen and of the retrained model, flights and late shares are those of the real year; what lies
between them is drawn by a seeded generator, so that every run of the tests sees the same pages.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import random
from typing import Any

Json = Any
DAY = 86_400_000
HOUR = 3_600_000


def at(month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    """Milliseconds since 1970 of a moment of 2013, UTC."""
    return int(dt.datetime(2013, month, day, hour, minute, tzinfo=dt.UTC).timestamp() * 1000)


NOW = at(11, 10, 14, 5)
FROZEN = [0.763, 0.732, 0.755, 0.748, 0.733, 0.729, 0.693, 0.717, 0.710]
LIVE = [0.763, 0.732, 0.755, 0.786, 0.780, 0.745, 0.754, 0.744, 0.742]
FIRST_PROMOTION = at(5, 31)


def _between(values: list[float], moment: int) -> float:
    """A monthly series read at a moment: each month's figure stands at its 15th."""
    middles = [at(month, 15) for month in range(3, 12)]
    if moment <= middles[0]:
        return values[0]
    for (a, b), (x, y) in zip(itertools.pairwise(middles), itertools.pairwise(values), strict=True):
        if moment <= b:
            share = (moment - a) / (b - a)
            return x * (1 - share) + y * share
    return values[-1]


def _live(moment: int) -> float:
    """Before the first promotion the frozen model is the live one; after it a window of 14 days fills with the new."""
    share = min(1.0, max(0.0, (moment - FIRST_PROMOTION) / (14 * DAY)))
    return _between(FROZEN, moment) * (1 - share) + _between(LIVE, moment) * share


def quality() -> list[Json]:
    rng = random.Random(7)
    points: list[Json] = []
    drift_live = drift_frozen = 0.0
    for moment in range(at(3, 2), NOW, 2 * DAY):
        drift_live = 0.8 * drift_live + rng.gauss(0, 0.0016)
        drift_frozen = drift_live if moment < FIRST_PROMOTION else 0.8 * drift_frozen + rng.gauss(0, 0.0016)
        live = _live(moment) + drift_live
        frozen = live if moment < FIRST_PROMOTION else _between(FROZEN, moment) + drift_frozen
        age = (NOW - moment) / DAY
        mature = 1.0 if age > 6 else round(0.35 + 0.1 * age, 2)
        half = 0.008 / math.sqrt(mature)
        points.append(
            {
                "at_ms": moment,
                "n": int((12_800 + rng.randint(-900, 900)) * mature),
                "live": round(live, 4),
                "live_lo": round(live - half, 4),
                "live_hi": round(live + half, 4),
                "frozen": round(frozen, 4),
                "mature": mature,
            }
        )
    return points


def _walk(seed: int, level: float, spread: float, end: float | None = None) -> list[float]:
    rng = random.Random(seed)
    value, found = 0.0, []
    moments = list(range(at(3, 2), NOW, 4 * DAY))
    for i, _ in enumerate(moments):
        value = 0.7 * value + rng.gauss(0, spread)
        lean = 0.0 if end is None else (end - level) * max(0.0, (i / (len(moments) - 1) - 0.8) / 0.2)
        found.append(level + value + lean)
    return found


def _variable(text: str, label: str, measure: str, **rest: Json) -> Json:
    levels: list[float] = rest.pop("levels")
    half: float = rest.pop("half")
    value: float = rest.pop("value")
    moments = range(at(3, 2), NOW, 4 * DAY)
    history = [
        {
            "at_ms": moment,
            "value": round(level, 6),
            "lo": round(max(0.0, level - half), 6) if half else None,
            "hi": round(level + half, 6) if half else None,
            "n": 12_900,
            "mature": 1.0,
        }
        for moment, level in zip(moments, levels, strict=True)
    ]
    return {
        "variable": text,
        "label": label,
        "measure": measure,
        "by": None,
        "of": None,
        "value": value,
        "lo": value - half if half else None,
        "hi": value + half if half else None,
        "n": 12_914,
        "min_n": 1000,
        "state": "within",
        "detail": "",
        "history": history,
        **rest,
    }


def variables() -> list[Json]:
    auc = [_live(moment) for moment in range(at(3, 2), NOW, 4 * DAY)]
    jitter = _walk(3, 0.0, 0.0022)
    return [
        _variable(
            "auc >= 0.72 over 14d", "AUC", "auc", value=0.742, half=0.008, limit=0.72, comparison=">=",
            window_ms=14 * DAY, levels=[a + j for a, j in zip(auc, jitter, strict=True)],
        ),
        _variable(
            "auc[carrier] >= 0.65 over 28d", "AUC by carrier", "auc", value=0.681, half=0.03, limit=0.65,
            comparison=">=", window_ms=28 * DAY, by="carrier", detail="worst: YV", levels=_walk(5, 0.695, 0.006),
        ),
        _variable(
            "calibration_error <= 0.03 over 14d", "calibration error", "calibration_error", value=0.019, half=0.004,
            limit=0.03, comparison="<=", window_ms=14 * DAY, levels=_walk(6, 0.0185, 0.0016),
        ),
        _variable(
            "latency_p99 <= 20ms over 1h", "latency p99", "latency_p99", value=6.0, half=0.0, limit=20.0,
            comparison="<=", window_ms=HOUR, levels=_walk(8, 6.4, 0.5),
        ),
        _variable(
            "errors <= 0.1% over 1h", "errors", "errors", value=0.0, half=0.0, limit=0.001, comparison="<=",
            window_ms=HOUR, levels=[abs(v) for v in _walk(9, 0.00012, 0.00005)],
        ),
        _variable(
            "freshness(weather) <= 2h", "freshness of weather", "freshness", value=6.0e6, half=0.0, limit=7.2e6,
            comparison="<=", window_ms=None, of="weather", state="at_risk", levels=_walk(11, 3.6e6, 2.4e5, end=6.0e6),
        ),
    ]  # fmt: skip


def loop_status() -> Json:
    held = variables()
    details = {
        "data": ("Data", "v112 · 336,776 rows"),
        "features": ("Features", "54 · no leak"),
        "train": ("Train", "20 trials · 38 s"),
        "validate": ("Validate", "11 of 11 gates"),
        "serve": ("Serve", "v4 · p99 6 ms"),
        "watch": ("Watch", "labels 96 % in"),
    }
    return {
        "model": "flight-delay",
        "state": "holding",
        "sentence": "All six essential variables hold; one is close: the weather is 1 h 40 old. v4 has been live since "
        "3 September and is +0.032 AUC ahead of a model that never learned again. Next look on 14 November.",
        "at_ms": NOW,
        "champion": 4,
        "canary": None,
        "stages": [
            {"name": name, "label": label, "detail": detail, "state": "ok"} for name, (label, detail) in details.items()
        ],
        "variables": held,
        "next_review_ms": at(11, 14),
        "central": held[0],
    }


RULE = {
    "name": "learn_when_it_helps",
    "version": 1,
    "params": {"min_gain": 0.005, "level": 0.9, "at_most_per_days": 7, "slice_margin": 0.02},
}


def _evidence(name: str, kind: str, weight: int, text: str, **rest: Json) -> Json:
    blank = {"value": None, "lo": None, "hi": None, "limit": None, "n": None, "data": []}
    return {"name": name, "kind": kind, "weight": weight, "text": text, **blank, **rest}


def _decision(ident: str, kind: str, moment: int, headline: str, reason: str, **rest: Json) -> Json:
    blank: Json = {
        "model": "flight-delay", "evidence": [], "rule": RULE, "alternatives": [], "champion": 4, "challenger": None,
        "expected": None, "realised": None, "next_review_ms": moment + 7 * DAY, "run_id": None,
    }  # fmt: skip
    return {"id": ident, "kind": kind, "at_ms": moment, "headline": headline, "reason": reason, **blank, **rest}


def _waits() -> list[Json]:
    acted = {at(5, 31), at(8, 31), at(9, 3), at(10, 31), at(4, 30)}
    found: list[Json] = []
    for i, moment in enumerate(range(at(3, 8, 6), NOW, 7 * DAY)):
        if any(abs(moment - act) < 3 * DAY for act in acted) or moment < at(3, 15):
            continue
        auc = _live(moment)
        found.append(
            _decision(
                f"wait{i:02d}", "wait", moment, "All six essential variables hold.",
                f"AUC {auc:.3f} against 0.72 over 14 days. A quick challenger gains nothing beyond its uncertainty.",
                champion=1 if moment < FIRST_PROMOTION else 3 if moment < at(9, 3) else 4,
                evidence=[
                    _evidence("auc", "variable", 1, f"AUC {auc:.3f} ± 0.008, limit 0.72", value=auc, lo=auc - 0.008,
                              hi=auc + 0.008, limit=0.72, n=12_900),
                ],
            )
        )  # fmt: skip
    return found


def decisions() -> list[Json]:
    acts = [
        _decision(
            "dec-refuse-v5", "refuse", at(10, 31, 23), "Learned from the last two months only, v5 is worse than v4.",
            "−0.021 AUC on 26,900 flights of October neither has seen (90 %: −0.027 to −0.015). It has forgotten "
            "winter.",
            challenger=5,
            evidence=[
                _evidence("gap", "gap", 1, "v5 minus v4 on the same recent flights", value=-0.021, lo=-0.027,
                          hi=-0.015, limit=0.0, n=26_900, data=["flights@108"]),
                _evidence("worst slice: carrier HA", "slice", 2, "worse by more than 0.02 where v4 was good",
                          value=-0.048, lo=-0.082, hi=-0.014, limit=-0.02, n=412, data=["flights@108"]),
                _evidence("calibration error", "guard", 3, "within its limit", value=0.024, lo=0.019, hi=0.029,
                          limit=0.03, n=26_900),
            ],
            alternatives=[{"kind": "promote", "why_not": "the interval of the gap lies wholly below zero"},
                          {"kind": "canary", "why_not": "a guard fails already on logged flights"}],
            expected={"measure": "auc", "value": 0.0, "lo": -0.01, "hi": 0.012, "n": None},
            run_id="run-train-5",
        ),
        _decision(
            "dec-promote-v4", "promote", at(9, 3, 9), "v4 is better where it counts, and nowhere worse.",
            "+0.027 AUC on August (28,756 flights); every carrier within 0.02; canary 5 → 25 → 100 % in 3 h, no step "
            "back.",
            champion=3, challenger=4,
            evidence=[
                _evidence("gap", "gap", 1, "v4 minus v3 on August, which neither has seen", value=0.027, lo=0.022,
                          hi=0.032, limit=0.0, n=28_756, data=["flights@90"]),
                _evidence("worst slice: carrier OO", "slice", 2, "the least gain of any carrier", value=-0.006,
                          lo=-0.019, hi=0.007, limit=-0.02, n=1_204),
                _evidence("canary", "sequence", 2, "not worse at any look", value=0.024, lo=0.004, hi=0.044,
                          limit=-0.01, n=3_950),
            ],
            alternatives=[{"kind": "refuse", "why_not": "the gap is above zero and no guard fails"}],
            expected={"measure": "auc", "value": 0.027, "lo": 0.022, "hi": 0.032, "n": None},
            realised={"measure": "auc", "value": 0.061, "lo": 0.054, "hi": 0.068, "n": 27_010},
            run_id="run-train-4",
        ),
        _decision(
            "dec-canary-v4", "canary", at(9, 3, 6), "v4 passed its gates and takes 5 % of the flights.",
            "Eleven of eleven gates. It goes on to 25 % when 1,500 flights show that it is not worse.",
            champion=3, challenger=4, run_id="run-train-4",
        ),
        _decision(
            "dec-retrain-aug", "retrain", at(8, 31), "AUC is at risk: 0.728 ± 0.009 against 0.72 over 14 days.",
            "Inputs are sound. A quick challenger on all history gains +0.022 to +0.032. Drift behind it: temperature, "
            "dewpoint, route delay 30 d.",
            champion=3,
            evidence=[
                _evidence("auc", "variable", 1, "the interval touches the limit", value=0.728, lo=0.719, hi=0.737,
                          limit=0.72, n=13_120, data=["flights@90"]),
                _evidence("gap to a quick challenger", "gap", 2, "trained on all history in 9 s", value=0.027, lo=0.022,
                          hi=0.032, limit=0.005, n=13_120),
                _evidence("temperature", "drift", 4, "moved, and the model leans on it", value=0.41, limit=0.12,
                          n=13_120),
                *(
                    _evidence(f"{place}_delay_{hours}h", "drift", 4, f"{hours}% of rows would have to change",
                              value=hours / 100, data=["flights@90"])
                    for place in ("origin", "dest", "carrier") for hours in (3, 6, 24)
                ),
                _evidence("broken inputs", "input", 4, "none: no new level, no missing source", value=0.0, limit=0.0),
            ],
            alternatives=[{"kind": "wait", "why_not": "the limit is inside the interval and a cure is known"},
                          {"kind": "fix_data", "why_not": "no input is broken"}],
            expected={"measure": "auc", "value": 0.027, "lo": 0.022, "hi": 0.032, "n": None},
            realised={"measure": "auc", "value": 0.061, "lo": 0.054, "hi": 0.068, "n": 27_010},
            run_id="run-train-4",
        ),
        _decision(
            "dec-promote-v3", "promote", at(5, 31, 9), "v3 is better on every month it has not seen.",
            "+0.026 AUC on May (28,128 flights; 90 %: +0.021 to +0.031); no carrier worse by more than 0.01.",
            champion=1, challenger=3,
            evidence=[
                _evidence("gap", "gap", 1, "v3 minus v1 on May", value=0.026, lo=0.021, hi=0.031, limit=0.0, n=28_128),
            ],
            expected={"measure": "auc", "value": 0.026, "lo": 0.021, "hi": 0.031, "n": None},
            realised={"measure": "auc", "value": 0.038, "lo": 0.032, "hi": 0.044, "n": 27_075},
            run_id="run-train-3",
        ),
        _decision(
            "dec-refuse-v2", "refuse", at(4, 30), "v2 gains less than its uncertainty.",
            "+0.008 AUC on April (90 %: −0.002 to +0.018), and its log loss is the same. v1 stays.",
            champion=1, challenger=2,
            evidence=[
                _evidence("gap", "gap", 1, "v2 minus v1 on April", value=0.008, lo=-0.002, hi=0.018, limit=0.005,
                          n=27_564),
            ],
            run_id="run-train-2",
        ),
        _decision(
            "dec-wait-mar", "wait", at(3, 31), "Nine inputs moved, the model did not suffer.",
            "AUC 0.763 against 0.72; a challenger gains nothing that its uncertainty does not cover.", champion=1,
        ),
    ]  # fmt: skip
    return sorted([*acts, *_waits()], key=lambda decision: -decision["at_ms"])


def why(decision: Json) -> Json:
    return {
        "decision": decision,
        "recomputed": True,
        "same": True,
        "sentences": [
            decision["headline"],
            decision["reason"],
            *(item["text"] for item in decision["evidence"]),
            "The rule was run again on the recorded evidence alone. "
            f"It was fixed on 1 March, before any flight it judged ({len(decision['evidence'])} pieces of evidence).",
        ],
    }
