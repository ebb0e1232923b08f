"""How the ledger's records of a rollout are told from others.

It is a module of its own because Spark's tasks read plans, and executors have nothing of what judges a rollout.
"""

from __future__ import annotations

ROLLOUT_RECORD = "rollout"
