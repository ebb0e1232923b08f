"""Settings to adapters to streaming, in parts that verbs, tests and benchmarks call."""
