"""``python -m jobs``: the penstock command from a checkout that is not installed."""

from jobs.command.main import main

main()
