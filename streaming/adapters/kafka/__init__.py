"""Kafka: what is read from it and written to it, beside the writer's own producers in the executors."""
