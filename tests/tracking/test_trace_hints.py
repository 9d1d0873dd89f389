"""What the database leaves out before traces are looked at changes no answer, and leaves out nearly all."""

from __future__ import annotations

from typing import Any

import pytest

import homeostat as hs
from homeostat.tracking import trace_hints, trace_search
from homeostat.tracking.trace_search import search_traces
from homeostat.tracking.trace_spans import put_spans
from homeostat.tracking.trace_statistics import Measure, query
from homeostat.tracking.traces import Trace, create_assessment, put_trace
from tests.tracking.test_traces import span

VALUES = ["plain", 'quo"ted', "back\\slash", "per%cent_", "ümlaut ß", "line\nbreak", "Plain", '","odd":"key', ""]
FILTERS = [
    "tags.word {} {}", "metadata.word {} {}", "name {} {}", "tags.`odd \"key` {} {}", "span.name {} {}",
    "feedback.word {} {}", "assessment.word {} {}", "status = 'OK' AND tags.word {} {}", "NOT tags.word {} {}",
    "tags.word {} {} OR status = 'ERROR'", "NOT (metadata.word {} {} OR status = 'ERROR')", "feedback.word {} {}",
    "client_request_id {} {}", "NOT feedback.word {} {}", "NOT span.name {} {}",
]  # fmt: skip


def filled(ws: hs.Workspace) -> None:
    for number, word in enumerate(VALUES):
        put_trace(ws, Trace(
            id=f"tr-{number}", experiment_id="0", request_ms=number, client_request_id=word,
            state="ERROR" if number == 2 else "OK",
            tags={"mlflow.traceName": word, "word": word, 'odd "key': word} if number != 5 else {},
            metadata={"other": word, "word": word} if number != 6 else {"mlflow.trace.session": "s"},
        ))  # fmt: skip
        put_spans(ws, "0", [span(number + 1, word, of=f"tr-{number}", mlflow__spanInputs=f'"says {word} twice"')])
        create_assessment(ws, f"tr-{number}", {"assessment_name": "word", "feedback": {"value": word}})


def answers(ws: hs.Workspace) -> dict[str, list[str]]:
    def quoted(word: str) -> str:
        return "'" + word.replace("'", "''") + "'"

    asked = [one.format(sign, quoted(word)) for one in FILTERS for word in VALUES for sign in ("=", "!=", "LIKE")]
    asked += [f"{of} {sign} {quoted(word)}" for of in ("tags.word", "trace.text") for sign in ("LIKE", "ILIKE")
              for word in ("%lain", "%L%I%", "p%", "%says plain%", "%null%", "%", "_lain", "%ß", "says")]  # fmt: skip
    asked += ["tags.word IS NULL", "metadata.word IS NOT NULL", "feedback.word IS NULL", "issue.id = 'word'"]
    return {text: [one.id for one in search_traces(ws, [0], text)[0]] for text in asked}


def test_hints_change_no_answer(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    filled(any_ws)
    hinted = answers(any_ws)
    assert hinted["tags.word = 'plain'"] == ["tr-0"] and hinted["trace.text ILIKE '%says plain%'"] == ["tr-6", "tr-0"]
    # The same when traces are asked for one by one in the order of the search, however few they are.
    monkeypatch.setattr(trace_hints, "_FEW", 0)
    assert answers(any_ws) == hinted
    monkeypatch.setattr(trace_hints, "_MOST_VALUES", 0)
    assert answers(any_ws) == hinted
    monkeypatch.setattr(trace_search.Hints, "of", lambda *_: None)
    assert answers(any_ws) == hinted


def test_only_traces_that_may_fit_are_looked_at(any_ws: hs.Workspace, monkeypatch: pytest.MonkeyPatch):
    filled(any_ws)
    looked: list[str] = []
    meets = trace_search.meets

    def counted(node: Any, trace: Trace, *rest: Any) -> bool:
        looked.append(trace.id)
        return meets(node, trace, *rest)

    monkeypatch.setattr(trace_search, "meets", counted)
    for text in ("tags.word = 'line\nbreak'", "name = 'ümlaut ß'", "span.name = 'back\\slash'", "run_id = 'r'",
                 "feedback.none = 'x'", "trace.text LIKE '%ümlaut%' AND trace.text LIKE '%nowhere%'"):  # fmt: skip
        search_traces(any_ws, [0], text)
        assert len(looked) <= 1, text
        looked.clear()


def test_statistics_read_the_columns_and_mean_the_same(any_ws: hs.Workspace):
    filled(any_ws)
    count = [Measure("COUNT")]
    by = query(any_ws, [0], "TRACES", "trace_count", count, ["trace_status"], (), 1, 0, 5000)
    assert [(one.dimensions["trace_status"], one.values["COUNT"]) for one in by] == [("ERROR", 1), ("OK", 8)]
    named = query(any_ws, [0], "TRACES", "trace_count", count, ["trace_name"], ["trace.tag.word = 'plain'"])
    assert named == [({"trace_name": "plain"}, {"COUNT": 1})]
    assert query(any_ws, [0], "TRACES", "trace_count", count, (), ["trace.status = 'ERROR'"], 0, 2, 2)[0].values == {
        "COUNT": 1
    }
