"""Plots as SVG text: one time axis, limits drawn as limits, intervals beside values."""

from __future__ import annotations

from collections.abc import Sequence

from homeostat.core.clock import iso
from homeostat.loop.model import Decision, QualityPoint, VariableStatus

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 1060, 260, 46, 12, 12, 44
_COLOURS = {"promote": "--ok", "refuse": "--bad", "retrain": "--accent", "roll_back": "--bad", "canary": "--accent"}
_GLYPHS = {"promote": "✓", "refuse": "✕", "retrain": "↻", "roll_back": "↩"}


class _Scale:
    """Linear map of a data range onto pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._start = low, start
        self._factor = (end - start) / ((high - low) or 1.0)

    def __call__(self, value: float) -> float:
        return round(self._start + (value - self._low) * self._factor, 1)


def quality_plot(points: Sequence[QualityPoint], limit: float | None, decided: Sequence[Decision]) -> str:
    """Quality of the live model with its band, of the model that never learned again, the limit, and the decisions."""
    seen = [p for p in points if p.live is not None]
    if len(seen) < 2:
        return "<p class='m'>Labels are still arriving: there is nothing to draw yet.</p>"
    values = [v for p in seen for v in (p.live_lo, p.live_hi, p.frozen) if v is not None]
    values += [limit] if limit is not None else []
    low, high = min(values) - 0.005, max(values) + 0.005
    x = _Scale(seen[0].at_ms, seen[-1].at_ms, _LEFT, _WIDTH - _RIGHT)
    y = _Scale(low, high, _HEIGHT - _BOTTOM, _TOP)
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" aria-label="quality over time">']
    parts += _grid(low, high, y)
    band = [(x(p.at_ms), y(p.live_hi)) for p in seen if p.live_hi is not None]
    band += [(x(p.at_ms), y(p.live_lo)) for p in reversed(seen) if p.live_lo is not None]
    parts.append(f'<path d="{_path(band)}Z" fill="var(--band)"/>')
    if limit is not None:
        parts.append(_level(y(limit), "var(--bad)", f"limit {limit:g}"))
    frozen = [(x(p.at_ms), y(p.frozen)) for p in seen if p.frozen is not None]
    if frozen:
        parts.append(
            f'<path d="{_path(frozen)}" fill="none" stroke="var(--muted)" stroke-width="1.5" stroke-dasharray="4 4"/>'
        )
    live = [(x(p.at_ms), y(p.live)) for p in seen if p.live is not None]
    parts.append(f'<path d="{_path(live)}" fill="none" stroke="var(--accent)" stroke-width="2"/>')
    parts += _marks(decided, x, seen[0].at_ms, seen[-1].at_ms)
    parts += _months(seen[0].at_ms, seen[-1].at_ms, x)
    parts.append(
        "</svg><p class='m'>solid: live · dashed: had it never learned again · dotted: limit · shade: interval</p>"
    )
    return "".join(parts)


def gauge_plot(variable: VariableStatus) -> str:
    """A variable's history as a small line with its band and its limit."""
    points = [p for p in variable.history if p.value is not None]
    if len(points) < 2:
        return ""
    values = [v for p in points for v in (p.value, p.lo, p.hi) if v is not None] + [variable.limit]
    x = _Scale(points[0].at_ms, points[-1].at_ms, 2, 184)
    y = _Scale(min(values), max(values), 34, 4)
    band = [(x(p.at_ms), y(p.hi)) for p in points if p.hi is not None]
    band += [(x(p.at_ms), y(p.lo)) for p in reversed(points) if p.lo is not None]
    line = [(x(p.at_ms), y(p.value)) for p in points if p.value is not None]
    shade = f'<path d="{_path(band)}Z" fill="var(--band)"/>' if band else ""
    level = f'<path d="M0 {y(variable.limit)}H186" stroke="var(--bad)" stroke-dasharray="1 4" stroke-width="1.5"/>'
    curve = f'<path d="{_path(line)}" fill="none" stroke="var(--accent)" stroke-width="1.5"/>'
    return f'<svg width="186" height="38" viewBox="0 0 186 38" aria-hidden="true">{shade}{level}{curve}</svg>'


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in points) if points else "M0 0"


def _grid(low: float, high: float, y: _Scale) -> list[str]:
    step = 0.02 if high - low < 0.2 else 0.05 if high - low < 0.5 else 0.1
    parts: list[str] = []
    level = round(low / step + 0.5) * step
    while level < high:
        parts.append(f'<path d="M{_LEFT} {y(level)}H{_WIDTH - _RIGHT}" stroke="var(--line)"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y(level) + 4}" text-anchor="end">{level:.2f}</text>')
        level += step
    return parts


def _level(height: float, colour: str, label: str) -> str:
    line = (
        f'<path d="M{_LEFT} {height}H{_WIDTH - _RIGHT}" stroke="{colour}" stroke-dasharray="1 5" stroke-width="1.6"/>'
    )
    return f'{line}<text x="{_WIDTH - _RIGHT}" y="{height - 4}" text-anchor="end">{label}</text>'


def _marks(decided: Sequence[Decision], x: _Scale, start: int, end: int) -> list[str]:
    parts: list[str] = []
    base = _HEIGHT - _BOTTOM + 14
    for decision in decided:
        glyph = _GLYPHS.get(decision.kind)
        if glyph is None or not start <= decision.at_ms <= end:
            continue
        at, colour = x(decision.at_ms), f"var({_COLOURS[decision.kind]})"
        title = f"<title>{iso(decision.at_ms)[:10]} {decision.kind}</title>"
        parts.append(f'<path d="M{at} {_TOP}V{base - 8}" stroke="{colour}" opacity=".45"/>')
        parts.append(f'<text x="{at}" y="{base + 4}" text-anchor="middle" style="fill:{colour}">{glyph}{title}</text>')
    return parts


def _months(start: int, end: int, x: _Scale) -> list[str]:
    parts: list[str] = []
    seen = ""
    day = 86_400_000
    for at in range(start, end + 1, day):
        month = iso(at)[:7]
        if month != seen:
            seen = month
            parts.append(f'<text x="{x(at)}" y="{_HEIGHT - 8}">{month}</text>')
    return parts
