"""What decides a rollout, as functions: which arm an event belongs to, what labels say of a candidate; no I/O."""
