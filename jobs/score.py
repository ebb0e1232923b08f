"""``spark-submit jobs/score.py --config penstock.yaml``: ``penstock score`` as a main of its own."""

from __future__ import annotations

import sys

from jobs.command.main import main

if __name__ == "__main__":
    main(["score", *sys.argv[1:]])
