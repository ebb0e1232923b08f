"""``python jobs/shadow.py --config penstock.yaml``: ``penstock shadow run`` as a main of its own."""

from __future__ import annotations

import sys

from jobs.command.main import main

if __name__ == "__main__":
    main(["shadow", "run", *sys.argv[1:]])
