"""A report that stands on its own: one HTML file with the sentence, the plots and every decision. No rows of data."""

from __future__ import annotations

from html import escape

from homeostat.core.clock import iso
from homeostat.core.verbs import verb
from homeostat.core.workspace import Workspace
from homeostat.loop.history import quality_history
from homeostat.loop.model import Decision, LoopStatus, QualityPoint, VariableStatus
from homeostat.loop.plots import gauge_plot, quality_plot
from homeostat.loop.state import decisions, status
from homeostat.registry import ModelVersion, list_versions

_STYLE = """
:root{--bg:#FBFBFA;--surface:#FFF;--line:#E4E4E0;--text:#17191C;--muted:#5E646E;--accent:#2F5BEA;--ok:#1A7F4B;
--warn:#8F6000;--bad:#C0362C;--band:#2F5BEA1a}
@media (prefers-color-scheme:dark){:root{--bg:#0E1013;--surface:#15181D;--line:#2A2F38;--text:#E8EAED;--muted:#9AA2AE;
--accent:#7C9BFF;--ok:#4CC38A;--warn:#E0A83A;--bad:#FF7B72;--band:#7C9BFF22}}
*{box-sizing:border-box}body{margin:0 auto;padding:32px 24px;max-width:1120px;background:var(--bg);color:var(--text);
font:400 14px/1.5 Inter,system-ui,sans-serif}h1{font-size:28px;line-height:1.15;margin:0;letter-spacing:-.02em}
h2{font-size:14px;margin:32px 0 8px}.say{font-size:16px;color:var(--muted);max-width:75ch;margin:8px 0 24px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{text-align:left;padding:8px 12px 8px 0;border-top:1px solid var(--line);vertical-align:top}
th{border:0;color:var(--muted);font-weight:400;font-size:12px}
.card{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:16px;overflow-x:auto}
.m{color:var(--muted)}.within,.promote{color:var(--ok)}.at_risk,.fix_data,.collect{color:var(--warn)}
.out,.refuse,.roll_back{color:var(--bad)}.retrain,.canary{color:var(--accent)}.unknown,.wait{color:var(--muted)}
svg{display:block;max-width:100%;height:auto}svg text{font:11px Inter,system-ui,sans-serif;fill:var(--muted)}
summary{cursor:pointer;color:var(--accent)}li{margin:2px 0}footer{margin-top:32px;color:var(--muted);font-size:12px}
"""

_MARKS = {"within": "✓", "at_risk": "!", "out": "✕", "unknown": "?", "promote": "✓", "refuse": "✕", "retrain": "↻",
          "roll_back": "↩", "canary": "◔", "wait": "—", "fix_data": "!", "collect": "…"}  # fmt: skip


@verb(permission="loop:read")
def report(ws: Workspace, model: str) -> bytes:
    """A self-contained HTML report of a model's loop: state, quality over time, decisions, versions.

    UTF-8, no scripts, nothing loaded from elsewhere; aggregates only. Light or dark as the reader's system is.

    Raises: NotFound for a model that is not declared.
    """
    now = status(ws, model)
    page = _page(now, quality_history(ws, model), decisions(ws, model, limit=1000), list_versions(ws, model))
    return page.encode()


def _page(now: LoopStatus, points: list[QualityPoint], decided: list[Decision], versions: list[ModelVersion]) -> str:
    name = escape(now.model)
    central = now.central
    limit = central.limit if central is not None else None
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{name} · Homeostat</title><style>{_STYLE}</style></head><body>",
            f'<h1>{name} <span class="{now.state}">{now.state.replace("_", " ")}</span></h1>',
            f'<p class="say">{escape(now.sentence)}</p>',
            "<h2>Quality of what is served</h2>",
            f'<div class="card">{quality_plot(points, limit, decided)}</div>',
            "<h2>Essential variables</h2>",
            _variables(now.variables),
            "<h2>Decisions</h2>",
            _decisions(decided),
            "<h2>Versions</h2>",
            _versions(versions, now.champion),
            f"<footer>As of {iso(now.at_ms)}. Every decision can be recomputed from its record:"
            " <code>homeostat why ID</code>.</footer></body></html>",
        ]
    )


def _variables(variables: list[VariableStatus]) -> str:
    rows = [
        f"<tr><td>{escape(v.variable)}</td><td>{gauge_plot(v)}</td><td>{_value(v)}</td>"
        f'<td class="{v.state}">{_MARKS[v.state]} {v.state.replace("_", " ")}</td>'
        f'<td class="m">{escape(v.detail)}</td></tr>'
        for v in variables
    ]
    head = "<tr><th>must hold</th><th>history</th><th>now</th><th>state</th><th></th></tr>"
    return f'<div class="card"><table>{head}{"".join(rows)}</table></div>'


def _value(variable: VariableStatus) -> str:
    if variable.value is None:
        return '<span class="m">–</span>'
    if variable.lo is None or variable.hi is None:
        return f"{variable.value:.4g}"
    return f"{variable.value:.4g}<br><span class='m'>{variable.lo:.3g} to {variable.hi:.3g}</span>"


def _decisions(decided: list[Decision]) -> str:
    if not decided:
        return '<p class="m">Nothing had to be decided yet.</p>'
    return f'<div class="card"><table>{"".join(_decision(d) for d in decided)}</table></div>'


def _decision(d: Decision) -> str:
    said = [f"<li>{escape(e.text)}</li>" for e in d.evidence]
    said += [f"<li class='m'>not {a.kind.replace('_', ' ')}: {escape(a.why_not)}</li>" for a in d.alternatives]
    kind = f'<td class="{d.kind}">{_MARKS.get(d.kind, "·")} {d.kind.replace("_", " ")}</td>'
    rule = f"rule {escape(d.rule.name)} {d.rule.version} · record {escape(d.id)}"
    return (
        f'<tr><td class="m">{iso(d.at_ms)[:10]}</td>{kind}'
        f"<td><b>{escape(d.headline)}</b><br><span class='m'>{escape(d.reason)}</span>"
        f"<details><summary>evidence</summary><ul>{''.join(said)}</ul><span class='m'>{rule}</span></details></td></tr>"
    )


def _versions(versions: list[ModelVersion], champion: int | None) -> str:
    rows = "".join(_version(v, live=v.version == champion) for v in versions)
    head = "<tr><th>version</th><th>gates</th><th>form</th><th>metrics</th><th>digest</th></tr>"
    return f'<div class="card"><table>{head}{rows}</table></div>'


def _version(v: ModelVersion, live: bool) -> str:
    form = f"{v.flavor}, ONNX agrees to {v.onnx.max_difference:.1g}" if v.onnx.max_difference else v.flavor
    metrics = " · ".join(f"{escape(name)} {value:.4g}" for name, value in v.metrics.items() if value is not None)
    cells = [
        f"v{v.version}{' · live' if live else ''}",
        v.status,
        form,
        metrics,
        f'<span class="m">{v.digest[:12]}</span>',
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
