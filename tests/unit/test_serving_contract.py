"""The OpenAPI document keeps its word: what Schemathesis makes of it is answered as it says, and never with a fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.servers import ServerBench, a_bench, flight_package, loaded

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SENT = {"params": "params", "headers": "headers", "json": "json", "data": "content"}
"""The parts of a request by the names that requests has for them, and httpx's."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerBench]:
    with a_bench(loaded(flight_package(tmp_path_factory.mktemp("model")))) as server:
        yield server


@pytest.fixture(scope="module")
def cases(bench: ServerBench) -> st.SearchStrategy[schemathesis.Case[Any]]:
    """Requests to every operation: some as the document says, and some not."""
    schema = schemathesis.openapi.from_dict(bench.ask("GET", "/openapi.json").json())
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    modes = [*GenerationMode]
    return st.one_of([operation.as_strategy(generation_mode=mode) for operation in operations for mode in modes])


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None)
@given(data=st.data())
def test_every_answer_is_one_that_the_document_describes(
    bench: ServerBench, cases: st.SearchStrategy[schemathesis.Case[Any]], data: st.DataObject
) -> None:
    case = data.draw(cases)
    request: dict[str, Any] = case.as_transport_kwargs(base_url="http://server")
    sent = {SENT[name]: value for name, value in request.items() if name in SENT}
    answer = bench.ask(request["method"], request["url"], **sent)
    case.validate_response(answer, checks=CHECKS)
