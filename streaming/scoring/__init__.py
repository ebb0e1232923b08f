"""Events and a model in, predictions out: one function for every engine."""
