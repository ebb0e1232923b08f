"""Training: a table becomes a registered model version."""
