"""Models that the tests of frames share."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from tests.support.models import Shelf


@pytest.fixture(scope="session")
def shelf(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(spark, tmp_path_factory.mktemp("shelf"))
