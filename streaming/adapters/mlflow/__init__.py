"""MLflow: the registry that versions come from, and the tracking server that runs go to."""
