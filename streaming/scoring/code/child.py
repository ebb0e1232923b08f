"""The process in which a model's code runs; :mod:`streaming.scoring.code.process` starts it.

It is asked over a socket, one batch after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection

import pyarrow as pa

from streaming.helper_process import helper_socket

READY, ANSWERS, FAILED, MISSING = b"R", b"A", b"F", b"M"
"""The first byte of what it says: the model is loaded, answers follow, or what went wrong, or the missing module."""
ESTIMATOR = "sklearn"
"""The kind of a model that scikit-learn evaluates itself, so that its probabilities are known."""

Answer = Callable[[pa.RecordBatch], pa.RecordBatch]


def to_bytes(batch: pa.RecordBatch) -> bytes:
    """Return a batch as a stream of Arrow."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def from_bytes(content: bytes) -> pa.RecordBatch:
    """Return the batch that :func:`to_bytes` made a stream of."""
    with pa.ipc.open_stream(content) as reader:
        return reader.read_next_batch()


def load(folder: str, kind: str) -> Answer:
    """Load the model as MLflow loads it, which runs its code."""
    if kind == ESTIMATOR:
        import mlflow.sklearn

        from streaming.scoring.flavours.sklearn_skops import estimator_of

        return estimator_of(mlflow.sklearn.load_model(folder)).answer
    import mlflow.pyfunc

    from streaming.scoring.code.answers import model_answers, model_input

    model = mlflow.pyfunc.load_model(folder)
    return lambda events: model_answers(model.predict(model_input(events)), events.num_rows)


def serve(socket: Connection, answer: Answer) -> None:
    """Answer batches until the other side is gone."""
    while True:
        try:
            content = socket.recv_bytes()
        except EOFError:
            return
        try:
            reply = ANSWERS + to_bytes(answer(from_bytes(content)))
        except Exception as problem:  # it is the model's own code, which may raise anything
            reply = FAILED + f"{type(problem).__name__}: {problem}".encode()
        socket.send_bytes(reply)


def missing_module(problem: BaseException | None) -> str | None:
    """Return the module that could not be imported, also where an error of a library's hides it."""
    while problem is not None:
        if isinstance(problem, ModuleNotFoundError):
            return str(problem.name)
        problem = problem.__cause__ or problem.__context__
    return None


def main(descriptor: int, folder: str, kind: str) -> None:
    """Load the model, say whether that went well, and serve.

    Args:
        descriptor: of the socket over which it is asked.
        folder: the version's files.
        kind: :data:`ESTIMATOR`, or anything else for MLflow's own ``predict``.
    """
    socket = helper_socket(descriptor)
    try:
        answer = load(folder, kind)
    except Exception as problem:  # as above
        missing = missing_module(problem)
        failure = f"{type(problem).__name__}: {problem}"
        socket.send_bytes(FAILED + failure.encode() if missing is None else MISSING + missing.encode())
        return
    socket.send_bytes(READY)
    serve(socket, answer)
