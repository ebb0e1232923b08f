"""Columns from a real Redis server: fresh, stale, missing and invalid values, what is remembered, and what fails."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.wiring.extras import require_extra
from jobs.wiring.lookup_redis import redis_store, require_redis
from jobs.wiring.lookups import past_lookup, require_history, require_no_lookup, require_states
from streaming.clock import isoformat
from streaming.errors import ConfigurationError, DataError, LookupUnavailableError, SetupError
from streaming.ledger.arms import PlannedArms
from streaming.lookup.entries import EntryReader
from streaming.lookup.join import TableLookup
from streaming.lookup.value_store import StoredTable, ValueStore
from streaming.lookup_state import REDIS, LookupState
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.replay.chunks import assigned
from streaming.settings import EventSettings, LookupSettings, RedisSettings, Settings
from tests.support.certificates import self_signed
from tests.support.lookups import COLUMNS, scored_keys
from tests.support.redis_server import RedisServer, redis_cluster, redis_server, tls_before

NOW = 100_000_000
AT = LookupState("", (), NOW, store=REDIS)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    running.client.flushall()
    running.client.config_resetstat()
    return running


def lookup_by(server: RedisServer, redis: dict[str, Any] | None = None, **changes: Any) -> TableLookup:
    settings = RedisSettings.model_validate({"url": server.url, "prefix": "c:", "cache_seconds": 0, **(redis or {})})
    fields = {"redis": settings, "columns": COLUMNS, "time_to_live_seconds": 30, **changes}
    return TableLookup(LookupSettings.model_validate(fields), EventSettings(), redis_store(settings))


VALUES = {
    "c:fresh": {"bonus": 5, "updated_at": NOW - 1_000},
    "c:text": {"bonus": 5, "updated_at": "1970-01-02T03:46:39Z"},
    "c:old": {"bonus": 6.0, "updated_at": NOW - 60_000},
    "c:ahead": {"bonus": 8.0, "updated_at": NOW + 5_000},
    "c:empty": {"updated_at": NOW},
    "c:null": {"bonus": None, "updated_at": NOW},
    "c:timeless": {"bonus": 7.0},
    "c:mistimed": {"bonus": 7.0, "updated_at": "yesterday"},
    "c:mistyped": {"bonus": "7", "updated_at": NOW},
    "c:broken": b"{",
    "c:list": b"[1]",
    "c:bytes": b"\xff",
}
OUTCOMES = [
    pytest.param("fresh", 1_005.0, "fresh", 1_000, id="a value"),
    pytest.param("text", 1_005.0, "fresh", 1_000, id="a value with RFC 3339"),
    pytest.param("old", 1_006.0, "stale", 60_000, id="a stale value"),
    pytest.param("ahead", 1_008.0, "fresh", 0, id="a value from the future"),
    pytest.param("empty", 999.0, "fresh", 0, id="a value without the column"),
    pytest.param("null", 999.0, "fresh", 0, id="a null"),
    pytest.param("nobody", 999.0, "missing", None, id="no value"),
    pytest.param(None, 999.0, "missing", None, id="no key"),
    pytest.param("timeless", 999.0, "invalid", None, id="no time"),
    pytest.param("mistimed", 999.0, "invalid", None, id="no readable time"),
    pytest.param("mistyped", 999.0, "invalid", 0, id="another type"),
    pytest.param("broken", 999.0, "invalid", None, id="no JSON"),
    pytest.param("list", 999.0, "invalid", None, id="no object"),
    pytest.param("bytes", 999.0, "invalid", None, id="no UTF-8"),
]


def test_an_event_gets_the_value_or_the_default_and_says_which(server: RedisServer, tmp_path: Path) -> None:
    server.put(VALUES)
    keys = [outcome.values[0] for outcome in OUTCOMES]
    rows = scored_keys(tmp_path, lookup_by(server), AT, *keys)
    assert [tuple(row.values()) for row in rows] == [(None, *outcome.values[1:]) for outcome in OUTCOMES]


VALUE = st.fixed_dictionaries({}, optional={"bonus": st.floats() | st.text(), "updated_at": st.integers() | st.text()})


@given(st.binary() | VALUE.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_key_has_becomes_an_entry_that_has_values_only_with_a_time(value: bytes) -> None:
    reader = EntryReader(LookupSettings.model_validate({"redis": {"url": "redis://x"}, "columns": COLUMNS}))
    entry = reader.read_timed(value, "updated_at")
    assert entry is not None
    assert entry.values is None or (entry.timestamp is not None and len(entry.values) == 1)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 4_102_444_800_000))
def test_both_ways_to_write_a_time_say_the_same(bonus: float, written: int) -> None:
    reader = EntryReader(LookupSettings.model_validate({"redis": {"url": "redis://x"}, "columns": COLUMNS}))
    text = isoformat(datetime.fromtimestamp(written // 1_000, timezone.utc) + timedelta(milliseconds=written % 1_000))
    for time_field in (written, text):
        value = json.dumps({"bonus": bonus, "updated_at": time_field}).encode()
        assert reader.read_timed(value, "updated_at") == (written, (bonus,))


def test_a_batch_asks_once_for_each_key_and_in_one_round_trip(server: RedisServer, tmp_path: Path) -> None:
    server.put({f"c:{number}": {"bonus": number, "updated_at": NOW} for number in range(2_500)})
    rows = scored_keys(tmp_path, lookup_by(server), AT, *[f"{number}" for number in (*range(2_500), 0, 1)])
    assert [row["prediction"] for row in rows[-3:]] == [3_499.0, 1_000.0, 1_001.0]
    assert server.client.info("commandstats")["cmdstat_mget"]["calls"] == 3


def test_a_key_is_not_asked_for_again_while_it_is_remembered(server: RedisServer) -> None:
    server.put({"c:a": {"bonus": 1.0, "updated_at": 7}})
    now = [0.0]
    lookup = lookup_by(server, {"cache_seconds": 2.0}, cache_keys=2)
    assert isinstance(lookup.source, ValueStore)
    table = StoredTable(lookup.settings, lookup.source, lambda: now[0])
    first = table.entries([b"a", b"b"])
    server.put({"c:a": {"bonus": 2.0, "updated_at": 8}, "c:b": {"bonus": 3.0, "updated_at": 8}})
    now[0] = 1.9
    assert table.entries([b"a", b"b"]) == first == [(7, (1.0,)), None]
    now[0] = 2.0
    assert table.entries([b"a", b"b"]) == [(8, (2.0,)), (8, (3.0,))]
    assert {name: count for name, count in table.counts().items() if "cache" in name} == {
        "cache_hits": 2.0,
        "cache_misses": 4.0,
    }
    table.entries([b"c"])
    server.put({"c:a": None})
    assert table.entries([b"b", b"a"]) == [(8, (3.0,)), None], "the key used least recently has gone"


def test_a_store_travels_to_the_workers_without_its_connection(server: RedisServer) -> None:
    server.put({"a": b"1"})
    store = redis_store(RedisSettings(url=server.url))
    assert store.values([b"a"]) == pickle.loads(pickle.dumps(store)).values([b"a"]) == [b"1"]


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that a test may stop."""
    with redis_server(tmp_path) as server:
        yield server


def test_a_server_that_dies_fails_lookups_and_comes_back(mortal: RedisServer) -> None:
    store = redis_store(RedisSettings(url=mortal.url))
    mortal.put({"a": b"1"})
    assert (store.state().store, store.values([b"a"])) == (REDIS, [b"1"])
    mortal.stop()
    with pytest.raises(LookupUnavailableError, match=rf"Redis at {mortal.url}: .*refused"):
        store.state()
    with pytest.raises(LookupUnavailableError):
        store.values([b"a"])
    mortal.start()
    # The connections of before are closed, and that is no reason to fail.
    assert (store.state().store, store.values([b"a"])) == (REDIS, [None])


def test_a_server_that_does_not_answer_is_given_up_in_time(mortal: RedisServer) -> None:
    store = redis_store(RedisSettings(url=mortal.url, timeout_seconds=0.1))
    store.state()
    mortal.client.client_pause(2_000)
    began = time.monotonic()
    with pytest.raises(LookupUnavailableError, match=r"(?i)time"):
        store.values([b"a"])
    assert time.monotonic() - began < 1.5


def test_a_user_who_may_not_ask_is_refused_at_the_start_and_passwords_are_shown_nowhere(tmp_path: Path) -> None:
    with redis_server(tmp_path, password="the-right-one") as server:
        rights = ("on", ">secret-word", "~c:*", "+ping", "+mget")
        server.client.execute_command("ACL", "SETUSER", "reader", *rights)
        settings = {"url": server.url, "username": "reader", "password": "secret-word", "prefix": "c:"}
        require_redis(RedisSettings.model_validate(settings))
        store = redis_store(RedisSettings.model_validate(settings))
        assert (store.values([b"a"]), store.state().store) == ([None], REDIS)
        assert "secret-word" not in repr(store)
        for change in ({"password": "the-wrong-one"}, {"prefix": "d:"}, {"username": None, "password": None}):
            with pytest.raises(ConfigurationError, match=r"lookup\.redis\.url, username, password.*to read") as refusal:
                require_redis(RedisSettings.model_validate({**settings, **change}))
            assert "the-wrong-one" not in str(refusal.value)


def test_a_server_with_tls_is_asked_if_its_certificate_is_trusted_and_ours_is_shown(
    server: RedisServer, tmp_path: Path
) -> None:
    certificate, key = self_signed(tmp_path)
    server.put({"a": b"1"})
    own = {"client_cert_file": certificate, "client_key_file": key}
    with tls_before(server, certificate, key) as url:
        trusting = RedisSettings.model_validate({"url": url, "ca_file": certificate, **own})
        require_redis(trusting)
        assert redis_store(trusting).values([b"a"]) == [b"1"]
        with pytest.raises(ConfigurationError, match=r"certificate verify failed.*ca_file"):
            require_redis(RedisSettings.model_validate({"url": url, **own}))
        with pytest.raises(LookupUnavailableError):
            redis_store(RedisSettings(url=url, ca_file=certificate)).values([b"a"])
        absent = trusting.model_copy(update={"ca_file": tmp_path / "absent.pem"})
        with pytest.raises(ConfigurationError, match=r"lookup\.redis\.ca_file .*absent\.pem cannot be read"):
            require_redis(absent)


def test_a_cluster_is_asked_for_each_key_where_it_is(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as servers:
        settings = RedisSettings(url=servers[1].url, cluster=True, timeout_seconds=5.0)
        store = redis_store(settings)
        keys = [f"{number}" for number in range(50)]
        for key in keys:
            server = servers[0] if servers[0].client.cluster("KEYSLOT", key) < 8_192 else servers[1]
            server.put({key: key.encode()})
        assert store.values([*map(str.encode, keys), b"nobody"]) == [*map(str.encode, keys), None]
        assert store.state().store == REDIS
        require_redis(settings)
        with pytest.raises(ConfigurationError, match="and cluster"):
            require_redis(settings.model_copy(update={"cluster": False}))
        servers[0].stop()
        with pytest.raises(LookupUnavailableError):
            store.values([key.encode() for key in keys])


def test_a_server_that_is_no_cluster_is_refused_as_one(server: RedisServer) -> None:
    with pytest.raises(ConfigurationError, match=r"not enabled on this node.*and cluster"):
        require_redis(RedisSettings(url=server.url, cluster=True))


def test_a_server_that_is_down_at_the_start_is_for_the_first_batch_to_find(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        settings = RedisSettings(url=server.url)
    require_redis(settings)


REFUSED = [
    pytest.param({"topic": "t"}, "both set", id="a topic, too"),
    pytest.param({"columns": {}}, "go together", id="no columns"),
    pytest.param({"redis": {"url": "http://x"}}, "must be redis://", id="no address of Redis"),
    pytest.param({"redis": {"url": "redis://x:port/0"}}, "must be redis://", id="no port"),
    pytest.param({"redis": {"url": "redis://x", "ca_file": "ca.pem"}}, "rediss://", id="a certificate without TLS"),
    pytest.param(
        {"redis": {"url": "rediss://x", "client_key_file": "k"}}, "client_cert_file", id="a key without certificate"
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_settings_that_do_not_go_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LookupSettings.model_validate({"redis": {"url": "redis://x"}, "columns": COLUMNS, **changes})


def settings_with(**more: Any) -> Settings:
    return Settings.model_validate({"lookup": {"redis": {"url": "redis://x"}, "columns": COLUMNS}, **more})


def test_what_needs_the_past_and_what_looks_nothing_up_are_refused_beside_redis() -> None:
    with pytest.raises(ConfigurationError, match=r"penstock replay needs columns as they were.*lookup\.redis"):
        require_history(settings_with(), "replay")
    with pytest.raises(ConfigurationError, match="penstock train needs"):
        past_lookup(settings_with())
    with pytest.raises(ConfigurationError, match=r"penstock serve looks no columns up, and lookup\.redis"):
        require_no_lookup(settings_with(), "serve")
    with pytest.raises(ValidationError, match=r"engine\.kind does not go with lookup\.redis"):
        settings_with(engine={"kind": "live"})


def test_a_replay_of_events_that_had_columns_from_redis_is_refused_whatever_is_looked_up_in_now() -> None:
    arms = replace(PlannedArms.only(ModelVersion("m", 1, "r")), lookup=AT)
    with pytest.raises(DataError, match=r"redis, which keeps no history.*begin the replay behind them"):
        require_states(Settings(), assigned({0: OffsetRange(0, 5)}, arms))


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.wiring.extras.find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r'pip install "penstock\[redis\]"'):
        require_redis(RedisSettings(url="redis://x"))
    with pytest.raises(SetupError):
        require_extra("redis", "redis")
