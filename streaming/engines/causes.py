"""What a failed Spark job failed of, out of the many exceptions that Spark wraps around it."""

from __future__ import annotations

from typing import Any

from streaming.errors import UpstreamError

_PYTHON_TRACE = "Traceback (most recent call last)"
_CLIENTS = ("KafkaException", "org.apache.kafka.")


def is_broker_trouble(problem: BaseException) -> bool:
    """Return whether a Kafka client raised it, ours or Spark's: the model has no part in that."""
    return isinstance(problem, UpstreamError) or any(name in str(problem) for name in _CLIENTS)


def root_cause(problem: BaseException) -> str:
    """Return the first line of the innermost exception: the words of the stage that threw, or of Spark itself.

    An exception of Python comes as a whole trace, of which that line is the last; Spark adds an indented one.
    """
    java: Any = getattr(problem, "java_exception", None) or getattr(problem, "_origin", None)
    while java is not None and java.getCause() is not None:
        java = java.getCause()
    text = str(java.toString() if java is not None else problem)
    lines = [line for line in text.splitlines() if line and not line[0].isspace()] or [type(problem).__name__]
    return lines[-1 if _PYTHON_TRACE in lines[0] else 0]
