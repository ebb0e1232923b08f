"""``make bench-peers`` and ``bench-serve``: install what the peers need; one that cannot be had keeps no other out."""

from __future__ import annotations

import os
import sys

from benchmarks.peers.environments import all_environments, ensure_uv
from benchmarks.peers.flink_jar import ensure_flink_jar
from streaming.errors import SetupError

FLINK = "flink"


def main(uv_version: str, *names: str) -> int:
    """Install what is not there yet of the environments of these names; return 1 if nothing could be."""
    uv = ensure_uv(uv_version)
    missing = 0
    environments = [environment for environment in all_environments() if environment.name in names]
    for environment in environments:
        try:
            environment.install(uv)
        except SetupError as error:
            missing += 1
            sys.stderr.write(f"{environment.name} could not be installed: {error}\n")
    if FLINK in names:
        try:
            ensure_flink_jar(os.environ)
        except SetupError as error:
            sys.stderr.write(f"Flink's connector could not be fetched: {error}\n")
    return int(missing == len(environments))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
