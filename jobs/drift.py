"""``spark-submit jobs/drift.py --config penstock.yaml``: ``penstock drift run`` as a main of its own."""

from __future__ import annotations

import sys

from jobs.command.main import main

if __name__ == "__main__":
    main(["drift", "run", *sys.argv[1:]])
