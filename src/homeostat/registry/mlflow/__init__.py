"""MLflow's calls on registered models, their versions, prompts and webhooks: mapping only."""
