"""The chaos suite: seeded runs that kill, freeze and starve the real job, then count every event. See docs/chaos.md."""
