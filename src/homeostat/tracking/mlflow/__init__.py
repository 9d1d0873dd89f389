"""MLflow's protocol for experiments, runs and metrics: a mapping onto tracking, call by call."""
