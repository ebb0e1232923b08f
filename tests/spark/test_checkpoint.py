"""Checkpoint files on this machine's disks: written without another process, and nothing else is written so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from streaming.engines.checkpoint import written_plainly
from streaming.spark.hadoop_files import HadoopFileStore
from tests.support.eventually import eventually

MANAGER = "spark.sql.streaming.checkpointFileManagerClass"


@pytest.fixture
def manager(spark: SparkSession) -> Iterator[str]:
    """A user's own choice of a manager; Spark's default on local disks, as it happens."""
    chosen = "org.apache.spark.sql.execution.streaming.checkpointing.FileContextBasedCheckpointFileManager"
    spark.conf.set(MANAGER, chosen)
    yield chosen
    spark.conf.unset(MANAGER)


def checkpoint_files(spark: SparkSession, folder: Path) -> list[Path]:
    """The files that two batches leave behind; the second is started after the block has ended."""
    location = folder / "checkpoint"
    writing = spark.readStream.format("rate").load().writeStream.format("noop")
    with written_plainly(spark, location.as_uri()):
        query = writing.option("checkpointLocation", str(location)).start()
    try:
        eventually((location / "commits" / "1").exists)
    finally:
        query.stop()
    return [path for path in location.rglob("*") if path.is_file()]


def test_no_file_of_a_query_has_a_checksum_beside_it(spark: SparkSession, tmp_path: Path) -> None:
    files = {path.relative_to(tmp_path / "checkpoint").as_posix() for path in checkpoint_files(spark, tmp_path)}
    assert {"metadata", "offsets/0", "commits/0", "offsets/1", "commits/1"} <= files
    assert not [name for name in files if name.endswith(".crc")]


def test_a_users_own_manager_is_kept(spark: SparkSession, manager: str, tmp_path: Path) -> None:
    assert any(path.suffix == ".crc" for path in checkpoint_files(spark, tmp_path))
    assert spark.conf.get(MANAGER) == manager


def test_a_users_own_file_system_is_there_again_afterwards(spark: SparkSession, tmp_path: Path) -> None:
    spark.conf.set("fs.file.impl", "org.apache.hadoop.fs.LocalFileSystem")
    try:
        with written_plainly(spark, tmp_path.as_uri()):
            assert spark.conf.get("fs.file.impl") == "org.apache.hadoop.fs.RawLocalFileSystem"
        assert spark.conf.get("fs.file.impl") == "org.apache.hadoop.fs.LocalFileSystem"
    finally:
        spark.conf.unset("fs.file.impl")


def test_the_session_itself_stages_and_writes_as_before(spark: SparkSession, tmp_path: Path) -> None:
    checkpoint_files(spark, tmp_path)
    (tmp_path / "part").write_text("rows")
    HadoopFileStore(spark).put_tree(tmp_path / "part", (tmp_path / "staged").as_uri())
    assert (tmp_path / "staged").read_text() == "rows"
    spark.range(1).write.json(str(tmp_path / "written"))
    assert list((tmp_path / "written").glob(".*.crc"))
    assert spark.conf.get(MANAGER, None) is None
