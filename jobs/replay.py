"""``spark-submit jobs/replay.py --config penstock.yaml``: ``penstock replay`` as a main of its own."""

from __future__ import annotations

import sys

from jobs.command.main import main

if __name__ == "__main__":
    main(["replay", *sys.argv[1:]])
