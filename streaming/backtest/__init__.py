"""Putting a candidate against what was recorded, on the same events: metrics, intervals, and a report for people."""
