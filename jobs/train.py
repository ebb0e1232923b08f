"""``spark-submit jobs/train.py --config penstock.yaml``: ``penstock train`` as a main of its own."""

from __future__ import annotations

import sys

from jobs.command.main import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
