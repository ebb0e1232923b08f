"""What the process owes its surroundings: logs, signals, memory."""
