"""Logs at debug level what a job's start sends to the JVM: ``python -m tests.field.debug_log``."""

from __future__ import annotations

import sys

from jobs.process.logs import configure_logging
from streaming.adapters.kafka.config import spark_options
from streaming.adapters.session import SessionPlan, start_session
from streaming.settings import LogSettings

if __name__ == "__main__":
    configure_logging(LogSettings(level="debug", format="json"), sys.stdout)
    spark = start_session(SessionPlan("debug-log"))
    kafka = {
        "bootstrap.servers": "127.0.0.1:9",
        "sasl.username": "u",
        "sasl.password": "SaslPw-1",
        "sasl.mechanism": "PLAIN",
    }
    spark.readStream.format("kafka").options(**spark_options(kafka))
    spark.stop()
    sys.stdout.write("spark-started\n")
