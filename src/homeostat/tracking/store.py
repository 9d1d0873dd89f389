"""The tables of tracking.

A run has a small integer `seq` inside the database, so that series, points and parameters stay narrow; outside it is
known by `id`. Points are kept as packed `journal` rows and are folded, per run and key, into compressed `chunk`s
(`codec.py`); `series` holds what lists and searches need of a metric, so that they never open a point. Points that
come alone wait in the `inbox` until somebody reads, a second at most (`settling.py`).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from homeostat.core.db import metadata
from homeostat.core.errors import NotFound

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _of_run() -> sa.Column[int]:
    return sa.Column("run_seq", _SERIAL, primary_key=True, autoincrement=False)


# What names no experiment belongs to it; made when it is first asked for.
DEFAULT_ID, DEFAULT = 0, "Default"

experiment = sa.Table(
    "tracking_experiment",
    metadata,
    sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
    # Unique among deleted ones too: a name that was used stays taken.
    sa.Column("name", sa.String(500), nullable=False, unique=True),
    sa.Column("lifecycle", sa.String(16), nullable=False),
    # Empty: where artifacts lie by default.
    sa.Column("artifact_location", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
experiment_tag = sa.Table(
    "tracking_experiment_tag",
    metadata,
    sa.Column("experiment_id", _SERIAL, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
run = sa.Table(
    "tracking_run",
    metadata,
    sa.Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("experiment_id", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("lifecycle", sa.String(16), nullable=False),
    sa.Column("deleted_ms", sa.BigInteger),
    # Who the run says it is of, and who asked for it.
    sa.Column("owner", sa.String(256), nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("parent_id", sa.String(64)),
    sa.Column("start_ms", sa.BigInteger, nullable=False),
    sa.Column("end_ms", sa.BigInteger),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("code_version", sa.Text, nullable=False),
    sa.Column("error", sa.Text),
    # Null for runs that never sent a heartbeat: those cannot be found missing.
    sa.Column("heartbeat_ms", sa.BigInteger),
    # Points in the journal that are not folded yet, and when run_metrics was last told.
    sa.Column("pending", sa.Integer, nullable=False),
    sa.Column("told_ms", sa.BigInteger, nullable=False),
    sa.Index("tracking_run_start", "start_ms", "id"),
    sa.Index("tracking_run_experiment", "experiment_id", "start_ms", "id"),
    sa.Index("tracking_run_parent", "parent_id"),
    # How runs divide is counted in this order, without the runs.
    sa.Index("tracking_run_divided", "lifecycle", "experiment_id", "kind", "status"),
    sa.Index("tracking_run_heartbeat", "status", "heartbeat_ms"),
)
# The name of the experiment of the row of `run` at hand.
experiment_name = (
    sa.select(experiment.c.name).where(experiment.c.id == run.c.experiment_id).correlate(run).scalar_subquery()
)
param = sa.Table(
    "tracking_param",
    metadata,
    _of_run(),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    # The same value as a number where it is one: "10" sorts after "9".
    sa.Column("number", sa.Float(53)),
    sa.Index("tracking_param_number", "key", "number", "run_seq"),
    sqlite_with_rowid=False,
)
tag = sa.Table(
    "tracking_tag",
    metadata,
    _of_run(),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
series = sa.Table(
    "tracking_series",
    metadata,
    _of_run(),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("points", sa.BigInteger, nullable=False),
    sa.Column("last_step", sa.BigInteger, nullable=False),
    sa.Column("last_ms", sa.BigInteger, nullable=False),
    # Null is NaN: SQLite has no other way to keep one.
    sa.Column("last_value", sa.Float(53)),
    sa.Column("min_value", sa.Float(53)),
    sa.Column("max_value", sa.Float(53)),
    # All that searches compare and order by: they need not open the rows themselves.
    sa.Index("tracking_series_last", "key", "last_value", "run_seq", "min_value", "max_value"),
    sqlite_with_rowid=False,
)
# All that words are looked for in, of a run, in small letters. It is made from the other tables whenever it is needed
# (`texts.py`), so it is in no backup.
text = sa.Table(
    "tracking_text", metadata, _of_run(), sa.Column("body", sa.Text, nullable=False), info={"derived": True}
)
# Runs whose text is to be made anew: rows that triggers append where what it is made from changes.
stale = sa.Table(
    "tracking_stale",
    metadata,
    sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("run_seq", _SERIAL, nullable=False),
    info={"derived": True},
)
# Which runs changed, as triggers append it where anything of them does (`changes.py`).
change = sa.Table(
    "tracking_change",
    metadata,
    # On SQLite they are counted; on PostgreSQL it is the transaction's number.
    sa.Column("stamp", sa.BigInteger, primary_key=True, autoincrement=False),
    # 0: what had come up to here was erased.
    _of_run(),
    info={"derived": True},
    sqlite_with_rowid=False,
)
# Points that were logged as those of a model, with the data they were measured on.
model_metric = sa.Table(
    "tracking_model_metric",
    metadata,
    sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("model_id", sa.String(64), nullable=False),
    sa.Column("run_seq", sa.BigInteger, nullable=False),
    sa.Column("key", sa.String(255), nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Float(53)),
    sa.Column("dataset_name", sa.String(500), nullable=False),
    sa.Column("dataset_digest", sa.String(64), nullable=False),
    sa.Index("tracking_model_metric_of", "model_id", "key", "run_seq"),
)
# What runs read and made, as their clients told it.
dataset = sa.Table(
    "tracking_dataset",
    metadata,
    sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("experiment_id", sa.BigInteger, nullable=False),
    sa.Column("name", sa.String(500), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("source_type", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("schema", sa.Text),
    sa.Column("profile", sa.Text),
    sa.UniqueConstraint("experiment_id", "name", "digest", name="tracking_dataset_is"),
)
run_dataset = sa.Table(
    "tracking_run_dataset",
    metadata,
    _of_run(),
    sa.Column("dataset_id", sa.BigInteger, primary_key=True, autoincrement=False),
    # The tag that says what for ("training"), and all of them as JSON pairs in their order.
    sa.Column("context", sa.Text),
    sa.Column("tags", sa.Text, nullable=False),
)
run_model = sa.Table(
    "tracking_run_model",
    metadata,
    _of_run(),
    sa.Column("direction", sa.String(8), primary_key=True),
    sa.Column("model_id", sa.String(64), primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Index("tracking_run_model_of", "model_id", "run_seq"),
)
inbox = sa.Table(
    "tracking_inbox",
    metadata,
    # Used again and again on SQLite: nothing remembers a row that has gone.
    sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("run_seq", _SERIAL, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)
journal = sa.Table(
    "tracking_journal",
    metadata,
    sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
    sa.Column("run_seq", _SERIAL, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Index("tracking_journal_run", "run_seq", "id"),
    sqlite_autoincrement=True,
)
chunk = sa.Table(
    "tracking_chunk",
    metadata,
    _of_run(),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("no", sa.Integer, primary_key=True),
    sa.Column("points", sa.Integer, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)
artifact = sa.Table(
    "tracking_artifact",
    metadata,
    _of_run(),
    sa.Column("path", sa.String(1024), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)
# Models as clients logged them: files under `…/models/ID/artifacts`, with parameters and tags of their own.
logged_model = sa.Table(
    "tracking_logged_model",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("experiment_id", sa.BigInteger, nullable=False),
    sa.Column("name", sa.String(500), nullable=False),
    sa.Column("artifact_location", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    # "pending" until all its files are there, then "ready" or "failed".
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("status_message", sa.Text, nullable=False),
    sa.Column("lifecycle", sa.String(16), nullable=False),
    sa.Column("model_type", sa.String(500), nullable=False),
    sa.Column("source_run_id", sa.String(64), nullable=False),
    sa.Index("tracking_logged_model_experiment", "experiment_id", "created_ms", "id"),
    sa.Index("tracking_logged_model_run", "source_run_id"),
)
logged_model_param = sa.Table(
    "tracking_logged_model_param",
    metadata,
    sa.Column("model_id", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
logged_model_tag = sa.Table(
    "tracking_logged_model_tag",
    metadata,
    sa.Column("model_id", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
# Traces of applications: what each request went through, and what people and judges said of it.
trace = sa.Table(
    "tracking_trace",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("experiment_id", sa.BigInteger, nullable=False),
    sa.Column("request_ms", sa.BigInteger, nullable=False),
    sa.Column("duration_ms", sa.BigInteger),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("client_request_id", sa.Text, nullable=False),
    # As JSON objects of texts.
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("request_preview", sa.Text),
    sa.Column("response_preview", sa.Text),
    # What the tags and the metadata say of it, for statistics; texts are cut off (`trace_words.py`).
    sa.Column("name", sa.String(200)),
    sa.Column("session", sa.String(200)),
    sa.Column("input_tokens", sa.Float),
    sa.Column("output_tokens", sa.Float),
    sa.Column("total_tokens", sa.Float),
    sa.Column("cache_read_input_tokens", sa.Float),
    sa.Column("cache_creation_input_tokens", sa.Float),
    # All that searches and counts compare and order by: they need not open the rows, which are wide.
    sa.Index(
        "tracking_trace_experiment",
        "experiment_id",
        "request_ms",
        "id",
        "state",
        "duration_ms",
        "name",
        "session",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    ),
)
span = sa.Table(
    "tracking_span",
    metadata,
    sa.Column("trace_id", sa.String(128), primary_key=True),
    sa.Column("span_id", sa.String(32), primary_key=True),
    sa.Column("start_ns", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
assessment = sa.Table(
    "tracking_assessment",
    metadata,
    sa.Column("trace_id", sa.String(128), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    # What the body says, for filters and statistics: the name is cut off, the value is JSON (`trace_words.py`).
    sa.Column("name", sa.String(200)),
    sa.Column("kind", sa.String(16)),
    sa.Column("valid", sa.Boolean),
    sa.Column("value", sa.Text),
    sa.Column("number", sa.Float),
    # Said of the whole session that the trace belongs to.
    sa.Column("of_session", sa.Boolean),
    sa.Index("tracking_assessment_named", "name", "trace_id"),
)
# What goes wrong in traces, named once; traces point to it by assessments of its id.
issue = sa.Table(
    "tracking_issue",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("experiment_id", sa.BigInteger, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("tracking_issue_of", "experiment_id", "created_ms", "id"),
)
# Questions to those who review traces, by experiment.
label_schema = sa.Table(
    "tracking_label_schema",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("experiment_id", sa.BigInteger, nullable=False),
    sa.Column("name", sa.String(250), nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.UniqueConstraint("experiment_id", "name", name="tracking_label_schema_is"),
)
# Which traces were said to belong to a run; said before the trace itself has arrived, too.
trace_run = sa.Table(
    "tracking_trace_run",
    metadata,
    sa.Column("trace_id", sa.String(128), primary_key=True),
    sa.Column("run_id", sa.String(64), primary_key=True),
    sa.Index("tracking_trace_run_of", "run_id", "trace_id"),
)
# Datasets that applications are judged on: records of inputs and what is expected of them.
eval_dataset = sa.Table(
    "tracking_eval_dataset",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(500), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.String(255)),
    sa.Column("updated_by", sa.String(255)),
    # The fields of the records and their types, as JSON; null until there are records.
    sa.Column("schema", sa.Text),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Index("tracking_eval_dataset_created", "created_ms", "id"),
)
eval_dataset_tag = sa.Table(
    "tracking_eval_dataset_tag",
    metadata,
    sa.Column("dataset_id", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
eval_dataset_experiment = sa.Table(
    "tracking_eval_dataset_experiment",
    metadata,
    sa.Column("dataset_id", sa.String(64), primary_key=True),
    sa.Column("experiment_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Index("tracking_eval_dataset_of", "experiment_id", "dataset_id"),
)
eval_record = sa.Table(
    "tracking_eval_record",
    metadata,
    sa.Column("dataset_id", sa.String(64), primary_key=True),
    # Of the inputs: the same inputs are the same record.
    sa.Column("inputs_digest", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("tracking_eval_record_order", "dataset_id", "created_ms", "id"),
)
# What judges the answers of applications, as its client wrote it down; nothing of it is run here.
scorer = sa.Table(
    "tracking_scorer",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("experiment_id", sa.BigInteger, nullable=False),
    sa.Column("name", sa.String(500), nullable=False),
    sa.UniqueConstraint("experiment_id", "name", name="tracking_scorer_is"),
)
scorer_version = sa.Table(
    "tracking_scorer_version",
    metadata,
    sa.Column("scorer_id", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
)
# Artifacts that are not a run's: `root` is their folder ("0/models/m-1f…/artifacts"), `path` goes on from there.
file = sa.Table(
    "tracking_file",
    metadata,
    sa.Column("root", sa.String(1024), primary_key=True),
    sa.Column("path", sa.String(1024), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)
# Views of the runs page that somebody keeps for everybody: the query of its address under a name.
view = sa.Table(
    "tracking_view",
    metadata,
    sa.Column("name", sa.String(120), primary_key=True),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
)


def upsert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]], keys: list[str]) -> None:
    """Insert `rows`, or overwrite the other columns of those whose `keys` are there already."""
    if not rows:
        return
    names = list(rows[0])
    sets = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    action = f"do update set {sets}" if sets else "do nothing"
    # Table and column names come from this file, values are bound.
    statement = sa.text(
        f"insert into {table.name} ({', '.join(names)}) values ({', '.join(f':{name}' for name in names)})"  # noqa: S608
        f" on conflict ({', '.join(keys)}) {action}"
    )
    connection.execute(statement, rows)


def seq_of(connection: sa.Connection, run_id: str) -> int:
    """The internal number of a run. Raises NotFound."""
    found = connection.execute(sa.select(run.c.seq).where(run.c.id == run_id)).scalar_one_or_none()
    if found is None:
        raise unknown_run(run_id)
    return found


def unknown_run(run_id: str) -> NotFound:
    """The error for a run id that does not exist."""
    return NotFound(
        f"there is no run '{run_id[:80]}'", hint="`homeostat tracking search-runs` lists them", run=run_id[:80]
    )
