"""Verb: a decision, decided again from its record."""

from __future__ import annotations

from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.loop.model import Decision, Explanation
from homeostat.loop.record import decisions_of, recompute
from homeostat.loop.words import between, gain, sentences


@verb(permission="loop:read")
def why(ws: Workspace, id: str) -> Explanation:
    """Explain decision `id`, and decide it again by its rule from the facts recorded with it.

    `same` is false when the result differs from the record: the record, or the rule of that name and version, was
    changed. Raises NotFound for an unknown id.
    """
    written, again = recompute(ws, id)
    shown = next((d for d in decisions_of(ws, written.model, at_ms=written.at_ms) if d.id == id), written)
    return Explanation(
        decision=shown, recomputed=again is not None, same=again == written, sentences=_told(shown, again == written)
    )


def _told(d: Decision, same: bool) -> list[str]:
    said = [d.headline, *([d.reason] if d.reason else []), *(f"{e.text}." for e in d.evidence)]
    said += [f"Not {a.kind.replace('_', ' ')}: {a.why_not}." for a in d.alternatives]
    if d.expected is not None and d.expected.lo is not None and d.expected.hi is not None:
        said.append(f"Expected: {between(d.expected.lo, d.expected.hi)} {d.expected.measure.upper()}.")
    if d.realised is not None:
        n = f" on {d.realised.n:,} rows" if d.realised.n else ""
        said.append(f"Realised: {gain(d.realised.value)} {d.realised.measure.upper()}{n}.")
    verdict = "the same" if same else "NOT the same"
    said.append(sentences(f"Recomputed from its record by {d.rule.name} {d.rule.version}: {verdict}"))
    return said
