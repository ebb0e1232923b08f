"""``spark-submit jobs/batch.py --config penstock.yaml``: ``penstock batch`` as a main of its own."""

from __future__ import annotations

import sys

from jobs.command.main import main

if __name__ == "__main__":
    main(["batch", *sys.argv[1:]])
