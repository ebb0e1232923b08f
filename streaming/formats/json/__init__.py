"""Strict JSON, as docs/events.md states it."""
