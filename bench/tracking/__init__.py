"""Tracking beside the MLflow server: the same answers, and what they cost."""
