CREATE TABLE core_event (
  id BIGSERIAL NOT NULL,
  name VARCHAR(64) NOT NULL,
  at_ms BIGINT NOT NULL,
  actor VARCHAR(255) NOT NULL,
  run_id VARCHAR(64),
  payload TEXT NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE core_lease (
  name VARCHAR(255) NOT NULL,
  owner VARCHAR(255) NOT NULL,
  token BIGINT NOT NULL,
  until_ms BIGINT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE core_lineage (
  run_id VARCHAR(64) NOT NULL,
  direction VARCHAR(8) NOT NULL,
  kind VARCHAR(32) NOT NULL,
  asset VARCHAR(255) NOT NULL,
  version VARCHAR(80) NOT NULL,
  at_ms BIGINT NOT NULL,
  PRIMARY KEY (run_id, direction, kind, asset, version)
);

CREATE INDEX core_lineage_asset ON core_lineage (kind, asset, version);

CREATE TABLE core_listener (
  listener VARCHAR(255) NOT NULL,
  last_id BIGINT NOT NULL,
  PRIMARY KEY (listener)
);

CREATE TABLE data_file (
  name VARCHAR(128) NOT NULL,
  file VARCHAR(80) NOT NULL,
  added INTEGER NOT NULL,
  removed INTEGER,
  rows BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  digest VARCHAR(64) NOT NULL,
  PRIMARY KEY (name, file)
);

CREATE INDEX data_file_added ON data_file (name, added);

CREATE TABLE data_table (
  name VARCHAR(128) NOT NULL,
  version INTEGER NOT NULL,
  delta_id VARCHAR(36) NOT NULL,
  key TEXT NOT NULL,
  description TEXT NOT NULL,
  expectations TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE data_tree (
  name VARCHAR(128) NOT NULL,
  version INTEGER NOT NULL,
  digest VARCHAR(64) NOT NULL,
  files INTEGER NOT NULL,
  bytes BIGINT NOT NULL,
  message TEXT NOT NULL,
  run_id VARCHAR(64),
  once VARCHAR(255),
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (name, version),
  UNIQUE (name, once)
);

CREATE TABLE data_version (
  name VARCHAR(128) NOT NULL,
  version INTEGER NOT NULL,
  operation VARCHAR(16) NOT NULL,
  rows BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  digest VARCHAR(64) NOT NULL,
  schema TEXT NOT NULL,
  key TEXT NOT NULL,
  message TEXT NOT NULL,
  source TEXT NOT NULL,
  run_id VARCHAR(64),
  once VARCHAR(255),
  created_ms BIGINT NOT NULL,
  check_report TEXT,
  clean_report TEXT,
  PRIMARY KEY (name, version),
  UNIQUE (name, once)
);

CREATE TABLE explain_importance (
  model VARCHAR(128) NOT NULL,
  version INTEGER NOT NULL,
  computed_ms BIGINT NOT NULL,
  features TEXT NOT NULL,
  PRIMARY KEY (model, version)
);

CREATE TABLE features_definition (
  kind VARCHAR(8) NOT NULL,
  name VARCHAR(128) NOT NULL,
  version INTEGER NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (kind, name, version)
);

CREATE TABLE homeostat_version (
  version_num VARCHAR(32) NOT NULL,
  PRIMARY KEY (version_num)
);

CREATE TABLE loop_config (
  model VARCHAR(128) NOT NULL,
  version INTEGER NOT NULL,
  text TEXT NOT NULL,
  project TEXT NOT NULL,
  applied_ms BIGINT NOT NULL,
  actor VARCHAR(255) NOT NULL,
  PRIMARY KEY (model, version)
);

CREATE TABLE loop_decision (
  id VARCHAR(32) NOT NULL,
  model VARCHAR(128) NOT NULL,
  at_ms BIGINT NOT NULL,
  place INTEGER NOT NULL,
  kind VARCHAR(16) NOT NULL,
  challenger INTEGER,
  facts_id VARCHAR(32) NOT NULL,
  record TEXT NOT NULL,
  realised TEXT,
  PRIMARY KEY (id)
);

CREATE INDEX loop_decision_time ON loop_decision (model, at_ms, place);

CREATE TABLE loop_facts (
  id VARCHAR(32) NOT NULL,
  model VARCHAR(128) NOT NULL,
  at_ms BIGINT NOT NULL,
  step VARCHAR(16) NOT NULL,
  facts TEXT NOT NULL,
  rule TEXT NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE loop_look (
  model VARCHAR(128) NOT NULL,
  at_ms BIGINT NOT NULL,
  "full" BOOLEAN NOT NULL,
  done BOOLEAN NOT NULL,
  PRIMARY KEY (model, at_ms)
);

CREATE TABLE loop_quality (
  model VARCHAR(128) NOT NULL,
  from_ms BIGINT NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (model, from_ms)
);

CREATE TABLE loop_reading (
  model VARCHAR(128) NOT NULL,
  variable VARCHAR(255) NOT NULL,
  at_ms BIGINT NOT NULL,
  mature FLOAT NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (model, variable, at_ms)
);

CREATE TABLE loop_turn (
  model VARCHAR(128) NOT NULL,
  owner VARCHAR(255) NOT NULL,
  until_ms BIGINT NOT NULL,
  PRIMARY KEY (model)
);

CREATE TABLE monitoring_label (
  model VARCHAR(128) NOT NULL,
  label_ms BIGINT NOT NULL,
  key VARCHAR(255) NOT NULL,
  label FLOAT NOT NULL,
  PRIMARY KEY (model, label_ms, key)
);

CREATE TABLE monitoring_profile (
  model VARCHAR(128) NOT NULL,
  version INTEGER NOT NULL,
  digest VARCHAR(64) NOT NULL,
  words TEXT NOT NULL,
  rows BIGINT NOT NULL,
  PRIMARY KEY (model, version)
);

CREATE TABLE notify_channel (
  name VARCHAR(128) NOT NULL,
  kind VARCHAR(16) NOT NULL,
  url TEXT NOT NULL,
  secret TEXT NOT NULL,
  events TEXT NOT NULL,
  models TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE notify_delivery (
  id VARCHAR(26) NOT NULL,
  channel VARCHAR(128) NOT NULL,
  event_id BIGINT,
  event VARCHAR(64) NOT NULL,
  message TEXT NOT NULL,
  status VARCHAR(16) NOT NULL,
  attempts INTEGER NOT NULL,
  due_ms BIGINT NOT NULL,
  error TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  sent_ms BIGINT,
  PRIMARY KEY (id),
  UNIQUE (channel, event_id)
);

CREATE INDEX notify_delivery_status ON notify_delivery (status, channel, id);

CREATE TABLE pipelines_output (
  key VARCHAR(64) NOT NULL,
  value TEXT NOT NULL,
  reads TEXT NOT NULL,
  run VARCHAR(32) NOT NULL,
  run_id VARCHAR(32),
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (key)
);

CREATE TABLE pipelines_run (
  id VARCHAR(32) NOT NULL,
  pipeline VARCHAR(255) NOT NULL,
  project TEXT NOT NULL,
  params TEXT NOT NULL,
  once VARCHAR(255),
  status VARCHAR(16) NOT NULL,
  graph TEXT,
  outputs TEXT,
  error TEXT,
  start_ms BIGINT NOT NULL,
  end_ms BIGINT,
  owner VARCHAR(255) NOT NULL,
  lease_until_ms BIGINT NOT NULL,
  fence INTEGER NOT NULL,
  stop BOOLEAN NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (once)
);

CREATE INDEX pipelines_run_start ON pipelines_run (start_ms, id);

CREATE INDEX pipelines_run_status ON pipelines_run (status);

CREATE TABLE registry_alias (
  model VARCHAR(320) NOT NULL,
  alias VARCHAR(255) NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (model, alias)
);

CREATE TABLE registry_history (
  id BIGSERIAL NOT NULL,
  model_id VARCHAR(26) NOT NULL,
  model VARCHAR(320) NOT NULL,
  action VARCHAR(32) NOT NULL,
  alias VARCHAR(255),
  previous INTEGER,
  version INTEGER,
  at_ms BIGINT NOT NULL,
  actor VARCHAR(255) NOT NULL,
  run_id VARCHAR(64),
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  before VARCHAR(64) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  PRIMARY KEY (id)
);

CREATE INDEX registry_history_model ON registry_history (model_id, id);

CREATE TABLE registry_model (
  name VARCHAR(320) NOT NULL,
  id VARCHAR(26) NOT NULL,
  description TEXT NOT NULL,
  versions INTEGER NOT NULL,
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  deleted_ms BIGINT,
  PRIMARY KEY (name),
  UNIQUE (id)
);

CREATE TABLE registry_model_tag (
  model VARCHAR(320) NOT NULL,
  key VARCHAR(255) NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (model, key)
);

CREATE TABLE registry_request (
  id VARCHAR(26) NOT NULL,
  model_id VARCHAR(26) NOT NULL,
  status VARCHAR(16) NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (id)
);

CREATE INDEX ix_registry_request_model_id ON registry_request (model_id);

CREATE TABLE registry_rule (
  model_id VARCHAR(26) NOT NULL,
  alias VARCHAR(255) NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (model_id, alias)
);

CREATE TABLE registry_version (
  model VARCHAR(320) NOT NULL,
  version INTEGER NOT NULL,
  once VARCHAR(255),
  run_id VARCHAR(64),
  source TEXT NOT NULL,
  stage VARCHAR(20) NOT NULL,
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  deleted_ms BIGINT,
  record TEXT NOT NULL,
  PRIMARY KEY (model, version),
  UNIQUE (model, once)
);

CREATE INDEX ix_registry_version_run_id ON registry_version (run_id);

CREATE INDEX registry_version_updated ON registry_version (updated_ms);

CREATE TABLE registry_version_tag (
  model VARCHAR(320) NOT NULL,
  version INTEGER NOT NULL,
  key VARCHAR(255) NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (model, version, key)
);

CREATE TABLE registry_webhook (
  id VARCHAR(36) NOT NULL,
  name VARCHAR(64) NOT NULL,
  description TEXT NOT NULL,
  url TEXT NOT NULL,
  events TEXT NOT NULL,
  active BOOLEAN NOT NULL,
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE serving_change (
  model VARCHAR(255) NOT NULL,
  generation BIGINT NOT NULL,
  routes TEXT NOT NULL,
  reason VARCHAR(16) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  at_ms BIGINT NOT NULL,
  back_to BIGINT,
  PRIMARY KEY (model, generation)
);

CREATE TABLE serving_deployment (
  model VARCHAR(255) NOT NULL,
  generation BIGINT NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (model)
);

CREATE TABLE serving_feedback (
  model VARCHAR(255) NOT NULL,
  request_id VARCHAR(255) NOT NULL,
  reward FLOAT NOT NULL,
  at_ms BIGINT NOT NULL,
  PRIMARY KEY (model, request_id)
);

CREATE INDEX serving_feedback_time ON serving_feedback (model, at_ms);

CREATE TABLE serving_folded (
  file VARCHAR(255) NOT NULL,
  PRIMARY KEY (file)
);

CREATE TABLE serving_plane (
  plane VARCHAR(255) NOT NULL,
  url TEXT NOT NULL,
  beat_ms BIGINT NOT NULL,
  PRIMARY KEY (plane)
);

CREATE TABLE serving_segment (
  id BIGSERIAL NOT NULL,
  model VARCHAR(255) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  rows BIGINT NOT NULL,
  from_ms BIGINT NOT NULL,
  to_ms BIGINT NOT NULL,
  PRIMARY KEY (id)
);

CREATE INDEX serving_segment_model ON serving_segment (model, to_ms);

CREATE TABLE serving_state (
  plane VARCHAR(255) NOT NULL,
  model VARCHAR(255) NOT NULL,
  generation BIGINT NOT NULL,
  state VARCHAR(16) NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (plane, model)
);

CREATE TABLE serving_truth (
  model VARCHAR(255) NOT NULL,
  request_id VARCHAR(255) NOT NULL,
  reward FLOAT NOT NULL,
  at_ms BIGINT NOT NULL,
  PRIMARY KEY (model, request_id)
);

CREATE INDEX serving_truth_time ON serving_truth (model, at_ms);

CREATE TABLE team_audit (
  seq BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  actor VARCHAR(255) NOT NULL,
  verb VARCHAR(128) NOT NULL,
  arguments TEXT NOT NULL,
  previous VARCHAR(64) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  PRIMARY KEY (seq)
);

CREATE TABLE team_token (
  id VARCHAR(26) NOT NULL,
  "user" VARCHAR(128) NOT NULL,
  role VARCHAR(16) NOT NULL,
  start VARCHAR(16) NOT NULL,
  hash VARCHAR(64) NOT NULL,
  note TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  expires_ms BIGINT,
  last_used_ms BIGINT,
  revoked_ms BIGINT,
  PRIMARY KEY (id),
  UNIQUE (hash)
);

CREATE INDEX ix_team_token_user ON team_token ("user");

CREATE TABLE team_user (
  name VARCHAR(128) NOT NULL,
  role VARCHAR(16) NOT NULL,
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE tracking_artifact (
  run_seq BIGINT NOT NULL,
  path VARCHAR(1024) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  size BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  PRIMARY KEY (run_seq, path)
);

CREATE TABLE tracking_assessment (
  trace_id VARCHAR(128) NOT NULL,
  id VARCHAR(64) NOT NULL,
  created_ms BIGINT NOT NULL,
  body TEXT NOT NULL,
  name VARCHAR(200),
  kind VARCHAR(16),
  valid BOOLEAN,
  value TEXT,
  number FLOAT,
  of_session BOOLEAN,
  PRIMARY KEY (trace_id, id)
);

CREATE INDEX tracking_assessment_named ON tracking_assessment (name, trace_id);

CREATE TABLE tracking_change (
  stamp BIGINT NOT NULL,
  run_seq BIGINT NOT NULL,
  PRIMARY KEY (stamp, run_seq)
);

CREATE TABLE tracking_chunk (
  run_seq BIGINT NOT NULL,
  key VARCHAR(255) NOT NULL,
  no INTEGER NOT NULL,
  points INTEGER NOT NULL,
  payload BYTEA NOT NULL,
  PRIMARY KEY (run_seq, key, no)
);

CREATE TABLE tracking_dataset (
  id BIGSERIAL NOT NULL,
  experiment_id BIGINT NOT NULL,
  name VARCHAR(500) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  source_type TEXT NOT NULL,
  source TEXT NOT NULL,
  schema TEXT,
  profile TEXT,
  PRIMARY KEY (id),
  CONSTRAINT tracking_dataset_is UNIQUE (experiment_id, name, digest)
);

CREATE TABLE tracking_eval_dataset (
  id VARCHAR(64) NOT NULL,
  name VARCHAR(500) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  created_by VARCHAR(255),
  updated_by VARCHAR(255),
  schema TEXT,
  records BIGINT NOT NULL,
  PRIMARY KEY (id)
);

CREATE INDEX tracking_eval_dataset_created ON tracking_eval_dataset (created_ms, id);

CREATE TABLE tracking_eval_dataset_experiment (
  dataset_id VARCHAR(64) NOT NULL,
  experiment_id BIGINT NOT NULL,
  PRIMARY KEY (dataset_id, experiment_id)
);

CREATE INDEX tracking_eval_dataset_of ON tracking_eval_dataset_experiment (experiment_id, dataset_id);

CREATE TABLE tracking_eval_dataset_tag (
  dataset_id VARCHAR(64) NOT NULL,
  key VARCHAR(255) NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (dataset_id, key)
);

CREATE TABLE tracking_eval_record (
  dataset_id VARCHAR(64) NOT NULL,
  inputs_digest VARCHAR(64) NOT NULL,
  id VARCHAR(64) NOT NULL,
  created_ms BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (dataset_id, inputs_digest)
);

CREATE INDEX tracking_eval_record_order ON tracking_eval_record (dataset_id, created_ms, id);

CREATE TABLE tracking_experiment (
  id BIGSERIAL NOT NULL,
  name VARCHAR(500) NOT NULL,
  lifecycle VARCHAR(16) NOT NULL,
  artifact_location TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (name)
);

CREATE TABLE tracking_experiment_tag (
  experiment_id BIGINT NOT NULL,
  key VARCHAR(255) NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (experiment_id, key)
);

CREATE TABLE tracking_file (
  root VARCHAR(1024) NOT NULL,
  path VARCHAR(1024) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  size BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  PRIMARY KEY (root, path)
);

CREATE TABLE tracking_inbox (
  id BIGSERIAL NOT NULL,
  run_seq BIGINT NOT NULL,
  payload BYTEA NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE tracking_issue (
  id VARCHAR(64) NOT NULL,
  experiment_id BIGINT NOT NULL,
  created_ms BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (id)
);

CREATE INDEX tracking_issue_of ON tracking_issue (experiment_id, created_ms, id);

CREATE TABLE tracking_journal (
  id BIGSERIAL NOT NULL,
  run_seq BIGINT NOT NULL,
  payload BYTEA NOT NULL,
  PRIMARY KEY (id)
);

CREATE INDEX tracking_journal_run ON tracking_journal (run_seq, id);

CREATE TABLE tracking_label_schema (
  id VARCHAR(64) NOT NULL,
  experiment_id BIGINT NOT NULL,
  name VARCHAR(250) NOT NULL,
  created_ms BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT tracking_label_schema_is UNIQUE (experiment_id, name)
);

CREATE TABLE tracking_logged_model (
  id VARCHAR(64) NOT NULL,
  experiment_id BIGINT NOT NULL,
  name VARCHAR(500) NOT NULL,
  artifact_location TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  status VARCHAR(16) NOT NULL,
  status_message TEXT NOT NULL,
  lifecycle VARCHAR(16) NOT NULL,
  model_type VARCHAR(500) NOT NULL,
  source_run_id VARCHAR(64) NOT NULL,
  PRIMARY KEY (id)
);

CREATE INDEX tracking_logged_model_experiment ON tracking_logged_model (experiment_id, created_ms, id);

CREATE INDEX tracking_logged_model_run ON tracking_logged_model (source_run_id);

CREATE TABLE tracking_logged_model_param (
  model_id VARCHAR(64) NOT NULL,
  key VARCHAR(255) NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (model_id, key)
);

CREATE TABLE tracking_logged_model_tag (
  model_id VARCHAR(64) NOT NULL,
  key VARCHAR(255) NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (model_id, key)
);

CREATE TABLE tracking_model_metric (
  id BIGSERIAL NOT NULL,
  model_id VARCHAR(64) NOT NULL,
  run_seq BIGINT NOT NULL,
  key VARCHAR(255) NOT NULL,
  step BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  value FLOAT(53),
  dataset_name VARCHAR(500) NOT NULL,
  dataset_digest VARCHAR(64) NOT NULL,
  PRIMARY KEY (id)
);

CREATE INDEX tracking_model_metric_of ON tracking_model_metric (model_id, key, run_seq);

create or replace function tracking_changed_of() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) select distinct run_seq from changed; insert into tracking_change (stamp, run_seq) select distinct txid_current(), run_seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_changed_runs() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) select seq from changed; insert into tracking_change (stamp, run_seq) select txid_current(), seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_changed_run() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) values (new.seq); return null; end $$;

create or replace function tracking_changed_value() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) values (new.run_seq); insert into tracking_change (stamp, run_seq) values (txid_current(), new.run_seq) on conflict do nothing; return null; end $$;

create or replace function tracking_told_of() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) select distinct txid_current(), run_seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_told_runs() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) select txid_current(), seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_told_run() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) values (txid_current(), new.seq) on conflict do nothing; return null; end $$;

CREATE TABLE tracking_param (
  run_seq BIGINT NOT NULL,
  key VARCHAR(255) NOT NULL,
  value TEXT NOT NULL,
  number FLOAT(53),
  PRIMARY KEY (run_seq, key)
);

CREATE INDEX tracking_param_number ON tracking_param (key, number, run_seq);

create trigger tracking_param_put after insert on tracking_param referencing new table as changed for each statement execute function tracking_changed_of();

create trigger tracking_param_changed after update of value on tracking_param for each row when (new.value is distinct from old.value) execute function tracking_changed_value();

create trigger tracking_param_gone after delete on tracking_param referencing old table as changed for each statement execute function tracking_changed_of();

CREATE TABLE tracking_review_item (
  queue_id VARCHAR(64) NOT NULL,
  item_id VARCHAR(128) NOT NULL,
  status VARCHAR(16) NOT NULL,
  created_ms BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (queue_id, item_id)
);

CREATE INDEX tracking_review_item_of ON tracking_review_item (item_id, queue_id);

CREATE INDEX tracking_review_item_order ON tracking_review_item (queue_id, created_ms, item_id);

CREATE TABLE tracking_review_queue (
  id VARCHAR(64) NOT NULL,
  experiment_id BIGINT NOT NULL,
  key VARCHAR(250) NOT NULL,
  created_ms BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT tracking_review_queue_is UNIQUE (experiment_id, key)
);

create or replace function tracking_changed_of() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) select distinct run_seq from changed; insert into tracking_change (stamp, run_seq) select distinct txid_current(), run_seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_changed_runs() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) select seq from changed; insert into tracking_change (stamp, run_seq) select txid_current(), seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_changed_run() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) values (new.seq); return null; end $$;

create or replace function tracking_changed_value() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) values (new.run_seq); insert into tracking_change (stamp, run_seq) values (txid_current(), new.run_seq) on conflict do nothing; return null; end $$;

create or replace function tracking_told_of() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) select distinct txid_current(), run_seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_told_runs() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) select txid_current(), seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_told_run() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) values (txid_current(), new.seq) on conflict do nothing; return null; end $$;

CREATE TABLE tracking_run (
  seq BIGSERIAL NOT NULL,
  id VARCHAR(64) NOT NULL,
  experiment_id BIGINT NOT NULL,
  name TEXT NOT NULL,
  status VARCHAR(16) NOT NULL,
  lifecycle VARCHAR(16) NOT NULL,
  deleted_ms BIGINT,
  owner VARCHAR(256) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  kind VARCHAR(16) NOT NULL,
  parent_id VARCHAR(64),
  start_ms BIGINT NOT NULL,
  end_ms BIGINT,
  source TEXT NOT NULL,
  code_version TEXT NOT NULL,
  error TEXT,
  heartbeat_ms BIGINT,
  pending INTEGER NOT NULL,
  told_ms BIGINT NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (id)
);

CREATE INDEX tracking_run_divided ON tracking_run (lifecycle, experiment_id, kind, status);

CREATE INDEX tracking_run_experiment ON tracking_run (experiment_id, start_ms, id);

CREATE INDEX tracking_run_heartbeat ON tracking_run (status, heartbeat_ms);

CREATE INDEX tracking_run_parent ON tracking_run (parent_id);

CREATE INDEX tracking_run_start ON tracking_run (start_ms, id);

create trigger tracking_run_put after insert on tracking_run referencing new table as changed for each statement execute function tracking_changed_runs();

create trigger tracking_run_changed after update of name, source, kind on tracking_run for each row when (new.name is distinct from old.name or new.source is distinct from old.source or new.kind is distinct from old.kind) execute function tracking_changed_run();

create trigger tracking_run_told after update of pending, id, experiment_id, name, status, lifecycle, deleted_ms, owner, actor, kind, parent_id, start_ms, end_ms, source, code_version, error on tracking_run for each row when (new.pending > old.pending or new.id is distinct from old.id or new.experiment_id is distinct from old.experiment_id or new.name is distinct from old.name or new.status is distinct from old.status or new.lifecycle is distinct from old.lifecycle or new.deleted_ms is distinct from old.deleted_ms or new.owner is distinct from old.owner or new.actor is distinct from old.actor or new.kind is distinct from old.kind or new.parent_id is distinct from old.parent_id or new.start_ms is distinct from old.start_ms or new.end_ms is distinct from old.end_ms or new.source is distinct from old.source or new.code_version is distinct from old.code_version or new.error is distinct from old.error) execute function tracking_told_run();

create trigger tracking_run_gone after delete on tracking_run referencing old table as changed for each statement execute function tracking_told_runs();

create or replace function tracking_changed_of() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) select distinct run_seq from changed; insert into tracking_change (stamp, run_seq) select distinct txid_current(), run_seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_changed_runs() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) select seq from changed; insert into tracking_change (stamp, run_seq) select txid_current(), seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_changed_run() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) values (new.seq); return null; end $$;

create or replace function tracking_changed_value() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) values (new.run_seq); insert into tracking_change (stamp, run_seq) values (txid_current(), new.run_seq) on conflict do nothing; return null; end $$;

create or replace function tracking_told_of() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) select distinct txid_current(), run_seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_told_runs() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) select txid_current(), seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_told_run() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) values (txid_current(), new.seq) on conflict do nothing; return null; end $$;

CREATE TABLE tracking_run_dataset (
  run_seq BIGINT NOT NULL,
  dataset_id BIGINT NOT NULL,
  context TEXT,
  tags TEXT NOT NULL,
  PRIMARY KEY (run_seq, dataset_id)
);

create trigger tracking_run_dataset_put after insert on tracking_run_dataset referencing new table as changed for each statement execute function tracking_told_of();

create trigger tracking_run_dataset_changed after update on tracking_run_dataset referencing new table as changed for each statement execute function tracking_told_of();

create trigger tracking_run_dataset_gone after delete on tracking_run_dataset referencing old table as changed for each statement execute function tracking_told_of();

create or replace function tracking_changed_of() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) select distinct run_seq from changed; insert into tracking_change (stamp, run_seq) select distinct txid_current(), run_seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_changed_runs() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) select seq from changed; insert into tracking_change (stamp, run_seq) select txid_current(), seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_changed_run() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) values (new.seq); return null; end $$;

create or replace function tracking_changed_value() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) values (new.run_seq); insert into tracking_change (stamp, run_seq) values (txid_current(), new.run_seq) on conflict do nothing; return null; end $$;

create or replace function tracking_told_of() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) select distinct txid_current(), run_seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_told_runs() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) select txid_current(), seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_told_run() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) values (txid_current(), new.seq) on conflict do nothing; return null; end $$;

CREATE TABLE tracking_run_model (
  run_seq BIGINT NOT NULL,
  direction VARCHAR(8) NOT NULL,
  model_id VARCHAR(64) NOT NULL,
  step BIGINT NOT NULL,
  PRIMARY KEY (run_seq, direction, model_id, step)
);

CREATE INDEX tracking_run_model_of ON tracking_run_model (model_id, run_seq);

create trigger tracking_run_model_put after insert on tracking_run_model referencing new table as changed for each statement execute function tracking_told_of();

create trigger tracking_run_model_changed after update on tracking_run_model referencing new table as changed for each statement execute function tracking_told_of();

create trigger tracking_run_model_gone after delete on tracking_run_model referencing old table as changed for each statement execute function tracking_told_of();

CREATE TABLE tracking_scorer (
  id VARCHAR(64) NOT NULL,
  experiment_id BIGINT NOT NULL,
  name VARCHAR(500) NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT tracking_scorer_is UNIQUE (experiment_id, name)
);

CREATE TABLE tracking_scorer_version (
  scorer_id VARCHAR(64) NOT NULL,
  version INTEGER NOT NULL,
  body TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (scorer_id, version)
);

CREATE TABLE tracking_series (
  run_seq BIGINT NOT NULL,
  key VARCHAR(255) NOT NULL,
  points BIGINT NOT NULL,
  last_step BIGINT NOT NULL,
  last_ms BIGINT NOT NULL,
  last_value FLOAT(53),
  min_value FLOAT(53),
  max_value FLOAT(53),
  PRIMARY KEY (run_seq, key)
);

CREATE INDEX tracking_series_last ON tracking_series (key, last_value, run_seq, min_value, max_value);

CREATE TABLE tracking_span (
  trace_id VARCHAR(128) NOT NULL,
  span_id VARCHAR(32) NOT NULL,
  start_ns BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (trace_id, span_id)
);

CREATE TABLE tracking_span_fact (
  experiment_id BIGINT NOT NULL,
  request_ms BIGINT NOT NULL,
  trace_id VARCHAR(128) NOT NULL,
  span_id VARCHAR(32) NOT NULL,
  start_ms BIGINT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  duration_ms BIGINT,
  model TEXT,
  provider TEXT,
  input_cost FLOAT,
  output_cost FLOAT,
  total_cost FLOAT,
  PRIMARY KEY (experiment_id, request_ms, trace_id, span_id)
);

CREATE TABLE tracking_stale (
  id BIGSERIAL NOT NULL,
  run_seq BIGINT NOT NULL,
  PRIMARY KEY (id)
);

create or replace function tracking_changed_of() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) select distinct run_seq from changed; insert into tracking_change (stamp, run_seq) select distinct txid_current(), run_seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_changed_runs() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) select seq from changed; insert into tracking_change (stamp, run_seq) select txid_current(), seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_changed_run() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) values (new.seq); return null; end $$;

create or replace function tracking_changed_value() returns trigger language plpgsql as $$ begin insert into tracking_stale (run_seq) values (new.run_seq); insert into tracking_change (stamp, run_seq) values (txid_current(), new.run_seq) on conflict do nothing; return null; end $$;

create or replace function tracking_told_of() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) select distinct txid_current(), run_seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_told_runs() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) select txid_current(), seq from changed on conflict do nothing; return null; end $$;

create or replace function tracking_told_run() returns trigger language plpgsql as $$ begin insert into tracking_change (stamp, run_seq) values (txid_current(), new.seq) on conflict do nothing; return null; end $$;

CREATE TABLE tracking_tag (
  run_seq BIGINT NOT NULL,
  key VARCHAR(255) NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run_seq, key)
);

create trigger tracking_tag_put after insert on tracking_tag referencing new table as changed for each statement execute function tracking_changed_of();

create trigger tracking_tag_changed after update of value on tracking_tag for each row when (new.value is distinct from old.value) execute function tracking_changed_value();

create trigger tracking_tag_gone after delete on tracking_tag referencing old table as changed for each statement execute function tracking_changed_of();

CREATE TABLE tracking_text (
  run_seq BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (run_seq)
);

CREATE TABLE tracking_trace (
  id VARCHAR(128) NOT NULL,
  experiment_id BIGINT NOT NULL,
  request_ms BIGINT NOT NULL,
  duration_ms BIGINT,
  state VARCHAR(32) NOT NULL,
  client_request_id TEXT NOT NULL,
  metadata TEXT NOT NULL,
  tags TEXT NOT NULL,
  request_preview TEXT,
  response_preview TEXT,
  name VARCHAR(200),
  session VARCHAR(200),
  input_tokens FLOAT,
  output_tokens FLOAT,
  total_tokens FLOAT,
  cache_read_input_tokens FLOAT,
  cache_creation_input_tokens FLOAT,
  PRIMARY KEY (id)
);

CREATE INDEX tracking_trace_experiment ON tracking_trace (experiment_id, request_ms, id, state, duration_ms, name, session, input_tokens, output_tokens, total_tokens, cache_read_input_tokens, cache_creation_input_tokens);

CREATE TABLE tracking_trace_run (
  trace_id VARCHAR(128) NOT NULL,
  run_id VARCHAR(64) NOT NULL,
  PRIMARY KEY (trace_id, run_id)
);

CREATE INDEX tracking_trace_run_of ON tracking_trace_run (run_id, trace_id);

CREATE TABLE tracking_trace_word (
  experiment_id BIGINT NOT NULL,
  kind VARCHAR(16) NOT NULL,
  key VARCHAR(200) NOT NULL,
  value VARCHAR(200) NOT NULL,
  request_ms BIGINT NOT NULL,
  trace_id VARCHAR(128) NOT NULL,
  PRIMARY KEY (experiment_id, kind, key, value, request_ms, trace_id)
);

CREATE TABLE tracking_view (
  name VARCHAR(120) NOT NULL,
  query TEXT NOT NULL,
  owner VARCHAR(255) NOT NULL,
  updated_ms BIGINT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE tuning_study (
  id VARCHAR(32) NOT NULL,
  once VARCHAR(255),
  config TEXT NOT NULL,
  wanted INTEGER NOT NULL,
  status VARCHAR(16) NOT NULL,
  run_id VARCHAR(64),
  error TEXT,
  spent_ms BIGINT NOT NULL,
  start_ms BIGINT NOT NULL,
  end_ms BIGINT,
  owner VARCHAR(255) NOT NULL,
  fence INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (once)
);

CREATE INDEX tuning_study_start ON tuning_study (start_ms, id);

CREATE TABLE pipelines_task (
  run VARCHAR(32) NOT NULL,
  name VARCHAR(128) NOT NULL,
  position INTEGER NOT NULL,
  function VARCHAR(255) NOT NULL,
  status VARCHAR(16) NOT NULL,
  key VARCHAR(64) NOT NULL,
  parts TEXT,
  output TEXT,
  attempt INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  not_before_ms BIGINT NOT NULL,
  start_ms BIGINT,
  end_ms BIGINT,
  why TEXT NOT NULL,
  against VARCHAR(32),
  run_id VARCHAR(32),
  error TEXT,
  cpu_ms BIGINT NOT NULL,
  peak_kb BIGINT NOT NULL,
  PRIMARY KEY (run, name),
  FOREIGN KEY(run) REFERENCES pipelines_run (id) ON DELETE CASCADE
);

CREATE INDEX pipelines_task_function ON pipelines_task (function, end_ms);

CREATE TABLE tuning_trial (
  study VARCHAR(32) NOT NULL,
  number INTEGER NOT NULL,
  status VARCHAR(16) NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (study, number),
  FOREIGN KEY(study) REFERENCES tuning_study (id) ON DELETE CASCADE
)
