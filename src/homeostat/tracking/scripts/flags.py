"""The flags of a script, read from its text. The script is never imported: nothing of it runs.

Options that are declared with argparse or click are flags; where there are none, the literals that are assigned to
names at the top of the module are (the ideas are Guild AI's).
"""

from __future__ import annotations

import ast
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec.structs import replace

from homeostat.core.errors import InvalidInput
from homeostat.core.records import Record

Via = Literal["argparse", "click", "globals", "command"]
_YES, _NO = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


class Flag(Record):
    """Something a script can be given.

    `option` is what to type on its command line, empty for a positional argument or a global. `default` is None where
    the script computes it. A "switch" is there or not (`off` is the option for not); a "list" takes several words.
    """

    name: str
    via: Via
    option: str = ""
    off: str = ""
    default: Any = None
    takes: Literal["value", "switch", "list"] = "value"
    choices: list[Any] = []
    required: bool = False
    help: str = ""


def find_flags(text: str, via: Via | None = None) -> list[Flag]:
    """The flags of a script with the source `text`, in the order they stand there; of one kind when `via` is given.

    Raises: InvalidInput when the text is not Python.

    >>> [(f.name, f.option, f.default) for f in find_flags("p.add_argument('--lr', type=float, default=0.1)")]
    [('lr', '--lr', 0.1)]
    >>> [(f.name, f.default) for f in find_flags("lr = 0.1\\nlayers = [64, 64]\\nmodel = build()")]
    [('lr', 0.1), ('layers', [64, 64])]
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise InvalidInput(f"the script is not valid Python: {error}") from error
    declared: dict[str, Flag] = {}
    for node in sorted(_calls(tree), key=lambda call: (call.lineno, call.col_offset)):
        flag = _declared(node)
        if flag is not None and via in (None, flag.via):
            declared.setdefault(flag.name, flag)
    return list(declared.values()) if declared or via not in (None, "globals") else list(_globals(tree))


def value_for(flag: Flag, text: str) -> Any:
    """What `text` means for this flag: of its default's type where that is known.

    >>> value_for(Flag(name="lr", via="globals", default=0.1), "1")
    1.0
    """
    if flag.takes == "switch" or isinstance(flag.default, bool):
        if text.lower() not in _YES | _NO:
            raise InvalidInput(f"{flag.name}={text} is neither yes nor no", hint=f"write {flag.name}=yes")
        return text.lower() in _YES
    if isinstance(flag.default, str):
        return text
    value = literal(text)
    if isinstance(flag.default, float) and isinstance(value, int):
        value = float(value)
    if flag.via == "globals" and isinstance(flag.default, int | float) and not isinstance(value, int | float):
        raise InvalidInput(f"{flag.name}={text} is no number", hint=f"it is {flag.default!r} in the script")
    if flag.choices and value not in flag.choices and text not in [str(choice) for choice in flag.choices]:
        raise InvalidInput(f"{flag.name}={text} is not offered", hint=f"one of {', '.join(map(str, flag.choices))}")
    return value


def literal(text: str) -> Any:
    """`text` as the Python or JSON literal it is, else as text.

    >>> literal("1e-3"), literal("true"), literal("[1, 'a']"), literal("adam")
    (0.001, True, [1, 'a'], 'adam')
    """
    for read in (ast.literal_eval, json.loads):
        try:
            value = read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(value, tuple):
            value = list(value)
        if isinstance(value, str | int | float | bool | list | dict):
            return value
    return text


def command_line(flags: list[Flag], values: Mapping[str, Any]) -> list[str]:
    """The words that give a script with argparse or click these values: positional ones first, in their order."""
    words: list[str] = []
    for flag in sorted(flags, key=lambda one: bool(one.option)):
        if flag.via in ("globals", "command") or flag.name not in values:
            continue
        value = values[flag.name]
        if flag.takes == "switch":
            words += _switch(flag, bool(value))
        elif isinstance(value, list) and flag.takes == "list":
            words += [flag.option] * bool(flag.option) + [word(part) for part in value]
        elif flag.option.startswith("--"):
            words.append(f"{flag.option}={word(value)}")  # one word: the value may begin with a dash
        else:
            words += [flag.option] * bool(flag.option) + [word(value)]
    return words


def word(value: Any) -> str:
    """A value as one types it."""
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, list | dict) else str(value)


def _switch(flag: Flag, wanted: bool) -> list[str]:
    if wanted:
        return [flag.option] if flag.option else []
    return [flag.off] if flag.off else []


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node


def _declared(call: ast.Call) -> Flag | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    words = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    if not words:
        return None
    if name == "add_argument" and isinstance(call.func, ast.Attribute):
        return _argparse(words, keywords)
    of_click = isinstance(call.func, ast.Name) or getattr(getattr(call.func, "value", None), "id", "") == "click"
    if name == "option" and of_click and any(part.startswith("-") for part in words):
        return _click_option(words, keywords)
    if name == "argument" and of_click:
        several = _known(keywords.get("nargs")) not in (None, 1)
        return Flag(name=words[0].lower(), via="click", required=True, takes="list" if several else "value")
    return None


def _argparse(words: list[str], keywords: dict[str, ast.expr]) -> Flag | None:
    action = keywords.get("action")
    acts = _known(action) or getattr(action, "attr", getattr(action, "id", None)) or "store"
    option = next((w for w in words if w.startswith("--")), words[0] if words[0].startswith("-") else "")
    name = _known(keywords.get("dest")) or (option or words[0]).lstrip("-").replace("-", "_")
    if acts in ("help", "version", "count") or not isinstance(name, str):
        return None
    default = _known(keywords.get("default"))
    several = _known(keywords.get("nargs")) not in (None, "?")
    flag = Flag(
        name=name, via="argparse", option=option, default=default, takes="list" if several else "value",
        choices=list(_known(keywords.get("choices")) or []), help=str(_known(keywords.get("help")) or ""),
        required=bool(_known(keywords.get("required"))) or (not option and "default" not in keywords),
    )  # fmt: skip
    if acts in ("store_true", "store_false"):
        on = acts == "store_true"
        default = default if isinstance(default, bool) else not on
        return replace(flag, option=option if on else "", off="" if on else option, takes="switch", default=default)
    if acts == "BooleanOptionalAction":
        return replace(flag, off=f"--no-{option.removeprefix('--')}", takes="switch")
    return flag


def _click_option(words: list[str], keywords: dict[str, ast.expr]) -> Flag:
    option, _, off = next((w for w in words if w.startswith("--")), words[0]).partition("/")
    named = next((w for w in words if not w.startswith("-")), None)
    kind = keywords.get("type")
    choices = _known(kind.args[0]) if isinstance(kind, ast.Call) and kind.args else None
    switch = bool(off) or bool(_known(keywords.get("is_flag")))
    default = _known(keywords.get("default"))
    return Flag(
        name=named or option.lstrip("-").replace("-", "_").lower(), via="click", option=option, off=off.strip(),
        default=bool(default) if switch else default, takes="switch" if switch else "value",
        choices=list(choices) if isinstance(choices, list | tuple) else [],
        required=bool(_known(keywords.get("required"))), help=str(_known(keywords.get("help")) or ""),
    )  # fmt: skip


def _globals(tree: ast.Module) -> Iterator[Flag]:
    seen = Counter(name for node in tree.body for name in assigned_names(node))
    for node in tree.body:
        names = assigned_names(node)
        value = _known(getattr(node, "value", None)) if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if len(names) != 1 or value is None or names[0].startswith("_") or seen[names[0]] > 1:
            continue
        if isinstance(value, str | int | float | list):
            yield Flag(
                name=names[0], via="globals", default=value, takes="list" if isinstance(value, list) else "value"
            )


def assigned_names(node: ast.stmt) -> list[str]:
    """The plain names that a statement assigns to.

    >>> assigned_names(ast.parse("lr: float = 0.1").body[0])
    ['lr']
    """
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _known(node: ast.expr | None) -> Any:
    """The value of a literal; None for what only running would tell."""
    if node is None:
        return None
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(value, tuple):
        value = list(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
