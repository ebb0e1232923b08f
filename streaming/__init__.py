"""Penstock's own code, one package per concern; see docs/architecture.md for the arrows between them."""
