"""A load of events put on a topic, and the account of what came out: for demonstration, chaos, tests and benchmarks."""
