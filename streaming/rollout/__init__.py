"""What a rollout is decided with, as functions: which arm an event belongs to; no Spark, no I/O."""
