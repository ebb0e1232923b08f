"""The report on a rollout: how its two versions compare on labelled events, day by day, and what was done when."""
