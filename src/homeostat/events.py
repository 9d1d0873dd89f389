"""Every event: where its fields are declared, and who listens. The one list of what happens after what."""

from __future__ import annotations

from homeostat.core.records import Record


class EventEntry(Record):
    """`record`: the event's class as "module:Class". `listeners`: functions `(ws, event)` as "module:function"."""

    record: str
    listeners: list[str] = []


EVENTS: dict[str, EventEntry] = {
    "table_written": EventEntry(record="homeostat.data.model:TableWritten"),
    "tree_written": EventEntry(record="homeostat.data.model:TreeWritten"),
    "check_failed": EventEntry(
        record="homeostat.data.model:CheckFailed", listeners=["homeostat.notify.outbox:on_event"]
    ),
    "run_started": EventEntry(record="homeostat.tracking.model:RunStarted"),
    "run_finished": EventEntry(record="homeostat.tracking.model:RunFinished"),
    "run_metrics": EventEntry(record="homeostat.tracking.model:RunMetrics"),
    "garbage_collected": EventEntry(
        record="homeostat.tracking.model:GarbageCollected", listeners=["homeostat.team.audit:on_garbage"]
    ),
    "version_registered": EventEntry(
        record="homeostat.registry.model:VersionRegistered", listeners=["homeostat.registry.webhooks:on_event"]
    ),
    "alias_moved": EventEntry(
        record="homeostat.registry.model:AliasMoved", listeners=["homeostat.registry.webhooks:on_event"]
    ),
    "model_created": EventEntry(
        record="homeostat.registry.model:ModelCreated", listeners=["homeostat.registry.webhooks:on_event"]
    ),
    "model_tagged": EventEntry(
        record="homeostat.registry.model:ModelTagged", listeners=["homeostat.registry.webhooks:on_event"]
    ),
    "model_changed": EventEntry(record="homeostat.registry.model:ModelChanged"),
    "alias_requested": EventEntry(record="homeostat.registry.model:AliasRequested"),
    "gates_recorded": EventEntry(record="homeostat.registry.model:GatesRecorded"),
    "deployment_changed": EventEntry(record="homeostat.serving.model:DeploymentChanged"),
    "labels_recorded": EventEntry(record="homeostat.monitoring.model:LabelsRecorded"),
    "variable_changed": EventEntry(
        record="homeostat.loop.model:VariableChanged", listeners=["homeostat.notify.outbox:on_event"]
    ),
    "decision_made": EventEntry(
        record="homeostat.loop.model:DecisionMade", listeners=["homeostat.notify.outbox:on_event"]
    ),
    "notification_failed": EventEntry(record="homeostat.notify.model:NotificationFailed"),
}

# Listeners that mostly have nobody to tell: functions `(ws)` that say whether they do, asked once for many events.
AWAITED: dict[str, str] = {"homeostat.registry.webhooks:on_event": "homeostat.registry.webhooks:any_active"}
