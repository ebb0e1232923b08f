"""The process and its surroundings: logs, signals, memory."""
