"""Clients of Kafka, except for the writer's producers in the executors."""
