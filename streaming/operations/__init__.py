"""Metrics, health, and what an operator asks a running job."""
