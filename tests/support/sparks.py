"""The Spark session that the tests share."""

from __future__ import annotations

import os
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.wiring.class_archive import archive_options
from streaming.local.jars import ensure_jars


def a_session(home: Path, scratch: Path) -> SparkSession:
    """Return a local session of two threads that may retry a task, with the connector from ``home``'s jars.

    Like a job's, it uses the archive of Spark's classes, which fits as long as nothing is put before them on the class
    path.
    """
    settings = {
        "spark.driver.memory": "3g",
        "spark.driver.defaultJavaOptions": archive_options(),
        "spark.jars": ",".join(map(str, ensure_jars(home, os.environ).connector_jars())),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
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
