"""What a failed Spark job failed of, out of the many exceptions that Spark wraps around it."""

from __future__ import annotations

from streaming.errors import LookupUnavailableError, UpstreamError
from streaming.spark.exceptions import jvm_messages

_PYTHON_TRACE = "Traceback (most recent call last)"
_CLIENTS = ("KafkaException", "org.apache.kafka.", LookupUnavailableError.__name__)


def is_broker_trouble(problem: BaseException) -> bool:
    """Return whether a Kafka client raised it, ours or Spark's, or a lookup: the model has no part in that."""
    return isinstance(problem, UpstreamError) or any(name in str(problem) for name in _CLIENTS)


def root_cause(problem: BaseException) -> str:
    """Return the first line of the innermost exception: the words of the stage that threw, or of Spark itself.

    An exception of Python comes as a whole trace, of which that line is the last; Spark adds an indented one.
    """
    text = [str(problem), *jvm_messages(problem)][-1]
    lines = [line for line in text.splitlines() if line and not line[0].isspace()] or [type(problem).__name__]
    return lines[-1 if _PYTHON_TRACE in lines[0] else 0]
