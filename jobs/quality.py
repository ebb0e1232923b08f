"""``python jobs/quality.py --config penstock.yaml``: ``penstock quality run`` as a main of its own."""

from __future__ import annotations

import sys

from jobs.command.main import main

if __name__ == "__main__":
    main(["quality", "run", *sys.argv[1:]])
