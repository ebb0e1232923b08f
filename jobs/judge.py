"""``python jobs/judge.py --config penstock.yaml``: ``penstock rollout judge`` as a main of its own."""

from __future__ import annotations

import sys

from jobs.command.main import main

if __name__ == "__main__":
    main(["rollout", "judge", *sys.argv[1:]])
