"""Staging through Hadoop's file systems: any scheme this Spark can write to (``hdfs``, ``s3a``, ``gs``, ``abfs``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession


class HadoopFileStore:
    """Implements :class:`streaming.models.stager.FileStore` through the session's JVM."""

    def __init__(self, session: SparkSession) -> None:
        self._jvm: Any = session._jvm
        self._configuration = session._jsc.hadoopConfiguration()

    def exists(self, uri: str) -> bool:
        """Return whether there is a file or folder at ``uri``; raises ``OSError`` if the store does not answer."""
        files, path = self._open(uri)
        return bool(_answered(lambda: files.exists(path)))

    def put_tree(self, source: Path, uri: str) -> None:
        """Copy the folder ``source`` to ``uri``, in place of whatever is there; raises ``OSError``."""
        files, path = self._open(uri)
        local = self._jvm.org.apache.hadoop.fs.Path(f"file://{source}")
        _answered(lambda: files.delete(path, True))
        _answered(lambda: files.mkdirs(path.getParent()))
        _answered(lambda: files.copyFromLocalFile(False, True, local, path))

    def write(self, uri: str, content: bytes) -> None:
        """Write one file; raises ``OSError``."""
        files, path = self._open(uri)
        stream = _answered(lambda: files.create(path, True))
        try:
            _answered(lambda: stream.write(bytearray(content)))
        finally:
            _answered(stream.close)

    def read(self, uri: str) -> bytes:
        """Return one file's content; raises ``OSError``."""
        files, path = self._open(uri)
        stream = _answered(lambda: files.open(path))
        try:
            return bytes(_answered(lambda: self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)))
        finally:
            _answered(stream.close)

    def names(self, uri: str) -> list[str]:
        """Return the names in a folder, none if there is no such folder; raises ``OSError``."""
        files, path = self._open(uri)
        if not _answered(lambda: files.exists(path)):
            return []
        return [str(status.getPath().getName()) for status in _answered(lambda: files.listStatus(path))]

    def delete(self, uri: str) -> None:
        """Delete one file or folder; raises ``OSError``."""
        files, path = self._open(uri)
        _answered(lambda: files.delete(path, True))

    def rename(self, uri: str, to: str) -> bool:
        """Rename a file or folder; false where the store refuses. Raises ``OSError``."""
        files, path = self._open(uri)
        return bool(_answered(lambda: files.rename(path, self._jvm.org.apache.hadoop.fs.Path(to))))

    def _open(self, uri: str) -> tuple[Any, Any]:
        path = self._jvm.org.apache.hadoop.fs.Path(uri)
        return _answered(lambda: path.getFileSystem(self._configuration)), path


def default_file_system(session: SparkSession) -> str:
    """Return the URI of the file system that a path without a scheme belongs to."""
    return str(cast(Any, session.sparkContext)._jsc.hadoopConfiguration().get("fs.defaultFS", "file:///"))


def _answered(call: Any) -> Any:
    try:
        return call()
    except Py4JJavaError as problem:
        raise OSError(str(problem.java_exception.toString())) from problem
