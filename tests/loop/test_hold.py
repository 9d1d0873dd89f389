"""Essential variables as text: what is read, and that every refusal says what to write instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.core.errors import InvalidInput
from homeostat.loop.hold import MEASURES, parse_variable, span_ms

DAY = 86_400_000


@pytest.mark.parametrize(
    ("text", "measure", "by", "of", "limit", "window"),
    [
        ("auc >= 0.72 over 14d", "auc", None, None, 0.72, 14 * DAY),
        ("calibration_error <= 0.03 over 14d", "calibration_error", None, None, 0.03, 14 * DAY),
        ("auc[carrier] >= 0.65 over 28d", "auc", "carrier", None, 0.65, 28 * DAY),
        ("latency_p99 <= 20ms over 1h", "latency_p99", None, None, 20.0, DAY / 24),
        ("errors <= 0.1% over 1h", "errors", None, None, 0.001, DAY / 24),
        ("freshness(weather) <= 2h", "freshness", None, "weather", 7_200_000.0, None),
        ("  auc≥72 %  over  2w ", "auc", None, None, 0.72, 14 * DAY),
        ("missing(temp) <= 5% over 1d", "missing", None, "temp", 0.05, DAY),
    ],
)
def test_every_form_of_the_design_is_read(
    text: str, measure: str, by: str | None, of: str | None, limit: float, window: float | None
) -> None:
    found = parse_variable(text)
    assert (found.measure, found.by, found.of) == (measure, by, of)
    assert found.limit == pytest.approx(limit)
    assert found.window_ms == window


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("acu >= 0.7 over 14d", "no measure 'acu'", "did you mean 'auc'?"),
        ("calibration <= 0.03 over 1d", "no measure 'calibration'", "calibration_error"),
        ("auc <= 0.7 over 14d", "held with >=", "auc >= 0.7"),
        ("auc >= 72 over 14d", "between 0 and 1", "0.72 or 72%"),
        ("auc >= 0.7", "window is missing", "over 14d"),
        ("auc >= 0.7 over 14 days", "cannot be read", "such as"),
        ("auc >= 0.7 over 14x", "not a length of time", "14d"),
        ("latency_p99 <= 20 over 1h", "unit of time", "20ms"),
        ("errors[carrier] <= 1% over 1h", "not measured by slice", "auc"),
        ("freshness <= 2h", "freshness\\(TABLE\\)", "freshness"),
        ("freshness(weather) <= 2h over 3d", "no window", "leave out"),
        ("auc >= 0.7s over 1d", "no unit 's'", "auc >= 0.1"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(text: str, says: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        parse_variable(text)
    assert hint in refused.value.hint


@given(st.sampled_from(sorted(MEASURES)), st.integers(1, 99), st.integers(1, 60))
def test_the_text_of_a_variable_reads_back_to_the_same_variable(name: str, limit: int, days: int) -> None:
    measure = MEASURES[name]
    of = "(thing)" if name in ("freshness", "missing") else ""
    unit = "ms" if measure.unit == "ms" else "%" if measure.unit == "share" else ""
    window = "" if measure.needs == "table" else f" over {days}d"
    found = parse_variable(f"{name}{of}   {measure.good} {limit}{unit}{window}")
    assert parse_variable(found.text) == found


def test_spans_have_units() -> None:
    assert span_ms("20ms") == 20
    assert span_ms("2w") == 14 * DAY
    with pytest.raises(InvalidInput, match="not a length of time"):
        span_ms("14")
