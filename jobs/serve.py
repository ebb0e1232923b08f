"""``python jobs/serve.py --config penstock.yaml``: ``penstock serve`` as a main of its own."""

from __future__ import annotations

import sys

from jobs.command.main import main

if __name__ == "__main__":
    main(["serve", *sys.argv[1:]])
