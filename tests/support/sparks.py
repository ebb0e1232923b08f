"""The Spark session that the tests share."""

from __future__ import annotations

import os
from pathlib import Path

from pyspark.sql import SparkSession

from streaming.local.jars import ensure_jars


def a_session(home: Path, scratch: Path) -> SparkSession:
    """Return a local session of two threads that may retry a task, with the connector from ``home``'s jars."""
    classpath = os.pathsep.join(ensure_jars(home, os.environ).connector_jars())
    settings = {
        "spark.driver.memory": "3g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraClassPath": classpath,
        "spark.executor.extraClassPath": classpath,
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.local.dir": str(scratch / "local"),
    }
    builder = SparkSession.builder.master("local[4,4]").appName("penstock-tests")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session
