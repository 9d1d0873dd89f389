"""Which code a step reaches: what must count, what must not."""

from __future__ import annotations

import textwrap

import pytest

from homeostat.pipelines.fingerprint import fingerprint_of
from homeostat.pipelines.source import Project


@pytest.fixture
def reached(tmp_path):
    """Names that `main:run` reaches in a project made of `files`."""

    def look(**files):
        for name, text in files.items():
            path = tmp_path / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        found = fingerprint_of("main:run", Project(tmp_path, path=[]))
        return set(found.code), set(found.libraries), found.code

    return look


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("import other\ndef run(): return other.f()", {"main.run", "other.f", "other.K"}),
        ("import other as o\ndef run(): return o.f()", {"main.run", "other.f", "other.K"}),
        ("from other import f\ndef run(): return f()", {"main.run", "other.f", "other.K"}),
        ("from other import f as g\ndef run(): return g()", {"main.run", "other.f", "other.K"}),
        ("from other import *\ndef run(): return f()", {"main.run", "other.f", "other.K"}),
        ("def run():\n    from other import f\n    return f()", {"main.run", "other.f", "other.K"}),
        ("def run():\n    import other\n    return other.f()", {"main.run", "other.f", "other.K"}),
        ("import other\ndef run(): return other", {"main.run", "other", "other.K"}),
        ("from other import Thing\ndef run(): return Thing()", {"main.run", "other.Thing", "other.K"}),
        ("import other\nx = other.f\ndef run(): return x()", {"main.run", "main.x", "other.f", "other.K"}),
        ("from other import f\ndef run(f=f): return f()", {"main.run", "other.f", "other.K"}),
        ("def run(): return tune('other:f')", {"main.run", "other.f", "other.K"}),
        ("def run(): return 'note: this', 'a:b', 'http:x'", {"main.run"}),
        ("def run(): return run()", {"main.run"}),
        ("A = 1\nA += 1\ndef b(): return A\ndef run(): return b()", {"main.run", "main.b", "main.A"}),
        ("T = {}\nT['x'] = 1\nU = 5\ndef run(): return T", {"main.run", "main.T"}),
        ("try:\n    import other\nexcept ImportError:\n    other = None\ndef run(): return other.f()",
         {"main.run", "main.other", "other.f", "other.K"}),
    ],
)  # fmt: skip
def test_what_is_reached(reached, main, expected):
    other = """
        K = 3
        def f(): return K
        def unused(): return 0
        class Thing:
            def method(self): return K
    """
    names, _, _ = reached(main=main, other=other)
    assert names == expected


def test_packages_and_relative_imports(reached):
    names, libraries, _ = reached(
        main="from pkg.sub import deep\nimport pkg.sub.side\ndef run(): return deep.go() + pkg.sub.side.S",
        pkg____init__="",
        pkg__sub____init__="",
        pkg__sub__deep="import numpy\nfrom . import side\nfrom ..top import t\ndef go(): return side.S, t(), numpy.e",
        pkg__sub__side="S = 1\nR = 2",
        pkg__top="def t(): return 1",
    )
    assert names == {"main.run", "pkg.sub.deep.go", "pkg.sub.side.S", "pkg.top.t"}
    assert libraries == {"numpy"}


def test_a_name_made_in_an_unseen_way_counts_its_whole_module(reached):
    names, _, _ = reached(main="import other\ndef run(): return other.made()", other="globals()['made'] = len\nx = 1")
    assert {"main.run", "other"} <= names


def test_libraries_of_the_code_that_is_reached_only(reached):
    _, libraries, _ = reached(
        main="import polars as pl\nimport json, other\ndef run(): return pl.len(), json\ndef no(): return other.f()",
        other="import sklearn\ndef f(): return sklearn",
    )
    assert libraries == {"polars"}
    _, libraries, _ = reached(main="from sklearn.linear_model import Ridge\ndef run(): return Ridge()")
    assert libraries == {"scikit-learn"}


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("def run(x):\n    return x + 1", "def run(x):  # why\n\n    'Help.'\n    return (x\n       + 1)", True),
        ("def run(x): return x + 1", "def run(x): return x + 2", False),
        ("def run(x): return x + 1", "def run(y): return y + 1", False),
        ("def run(x=1): return x", "def run(x=2): return x", False),
        ("@hs.step\ndef run(): pass", "@hs.step(retries=2, cache=False)\ndef run(): pass", True),
        (
            "from homeostat import step\n@step\ndef run(): pass",
            "from homeostat import step\n@step()\ndef run(): pass",
            True,
        ),
        ("@other\ndef run(): pass", "@another\ndef run(): pass", False),
        ("class A:\n  'x'\n  y = 1\ndef run(): return A", "class A:\n  'z'\n  y = 1\ndef run(): return A", True),
        ("class A:\n  y = 1\ndef run(): return A", "class A:\n  y = 2\ndef run(): return A", False),
    ],
)
def test_what_changes_a_digest(reached, before, after, same):
    one, two = reached(main=before)[2], reached(main=after)[2]
    assert (one == two) == same
