"""Who is let in by a token, how often a caller may ask, and what is logged of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from jobs.wiring.serving_rights import admission
from streaming.errors import ConfigurationError
from streaming.models.served import ServedModel
from streaming.serving.keys import ApiKeys, hashed
from streaming.serving.problems import ProblemError
from streaming.serving.rates import CallerRates
from streaming.serving.tokens import PublicKeys, SignedTokens, public_keys
from streaming.settings import JwtSettings, ModelSettings, ServeSettings, Settings
from tests.support.eventually import eventually
from tests.support.servers import a_bench, event, flight_package, loaded

NOW = 1_700_000_000.0
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()
STRANGER = ec.generate_private_key(ec.SECP256R1())


def described(algorithm: str, key: Any, **more: str) -> dict[str, Any]:
    made: Any = jwt.get_algorithm_by_name(algorithm)
    return {**json.loads(made.to_jwk(key.public_key())), "use": "sig", **more}


KEYS = [
    described("RS256", RSA, kid="rsa", alg="RS256"),
    described("ES256", CURVE, kid="curve"),
    described("EdDSA", EDWARDS, kid="edwards"),
]
RULES: dict[str, Any] = {"issuer": "https://id.example", "audience": "penstock"}


def document(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def token(key: Any = CURVE, algorithm: str = "ES256", kid: str | None = "curve", **claims: Any) -> str:
    """A token that is valid, but for what is changed; a claim that is ``None`` is left out."""
    # In the future for as long as this test exists.
    valid = {
        "iss": RULES["issuer"],
        "aud": "penstock",
        "exp": 4_000_000_000,
        "sub": "shop",
        "scope": "x penstock:score",
    }
    present = {name: value for name, value in {**valid, **claims}.items() if value is not None}
    return jwt.encode(present, key, algorithm, headers={"kid": kid} if kid else {})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return loaded(flight_package(tmp_path_factory.mktemp("model")))


@pytest.fixture
def tokens() -> Iterator[SignedTokens]:
    keys = PublicKeys(lambda: document(*KEYS), 3_600.0)
    yield SignedTokens(JwtSettings(jwks_file=Path("x"), **RULES), "late", keys)
    keys.stop()


ADMITTED = [
    pytest.param(token(), id="ES256"),
    pytest.param(token(RSA, "RS256", "rsa"), id="RS256"),
    pytest.param(token(EDWARDS, "EdDSA", "edwards"), id="EdDSA"),
    pytest.param(token(scope=None, scp=["penstock:score"]), id="scopes in a list"),
    pytest.param(token(models=["other", "late"]), id="this model among others"),
    pytest.param(token(models="*"), id="all models"),
    pytest.param(token(aud=["penstock", "other"]), id="several audiences"),
]


@pytest.mark.parametrize("sent", ADMITTED)
def test_a_token_of_the_provider_lets_its_caller_in(model: ServedModel, tokens: SignedTokens, sent: str) -> None:
    with a_bench(model, tokens=tokens) as bench:
        for _ in "twice":
            assert bench.score(event(), authorization=f"Bearer {sent}").status_code == 200
        assert bench.score(event()).status_code == 401


REFUSED = [
    pytest.param(token(exp=1_000_000_000), 401, "expired", id="an old one"),
    pytest.param(token(exp=None), 401, "exp", id="one that never ends"),
    pytest.param(token(iss="https://evil.example"), 401, "issuer", id="of another issuer"),
    pytest.param(token(aud="shop"), 401, "Audience", id="for another audience"),
    pytest.param(token(aud=None), 401, "aud", id="for nobody"),
    pytest.param(token(nbf=3_999_999_999), 401, "not yet", id="of the future"),
    pytest.param(token(STRANGER), 401, "Signature", id="signed by another key"),
    pytest.param(token(kid="unknown"), 401, "not known", id="of an unknown key"),
    pytest.param(token(kid=None), 401, "not known", id="of none of several keys"),
    pytest.param(token("curve" * 9, "HS256"), 401, "not valid", id="signed with a shared secret"),
    pytest.param(token("", "none"), 401, "not valid", id="not signed"),
    pytest.param(token(RSA, "RS256"), 401, "not valid", id="of another algorithm than its key's"),
    pytest.param("a.b.c", 401, "not valid", id="no token"),
    pytest.param("..", 401, "not valid", id="nothing with two points"),
    pytest.param(token(scope="penstock:score-not"), 403, "scope", id="without the scope"),
    pytest.param(token(scope=None), 403, "scope", id="without scopes"),
    pytest.param(token(scope={"penstock:score": 1}), 403, "scope", id="scopes of another form"),
    pytest.param(token(models=["other"]), 403, "model late", id="for another model"),
    pytest.param(token(models=[]), 403, "model late", id="for no model"),
    pytest.param(token(models=7), 403, "model late", id="models of another form"),
]


@pytest.mark.parametrize(("sent", "status", "message"), REFUSED)
def test_any_other_token_is_refused_with_the_reason(
    model: ServedModel, tokens: SignedTokens, sent: str, status: int, message: str
) -> None:
    with a_bench(model, tokens=tokens) as bench:
        answer = bench.score(event(), authorization=f"Bearer {sent}")
    assert answer.status_code == status
    assert message in answer.json()["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer error=")


def test_a_token_is_verified_once_until_it_ends(tokens: SignedTokens) -> None:
    moment, sent = [NOW], token()
    tokens.clock = lambda: moment[0]
    assert tokens.caller(sent) == "shop"
    tokens.keys.by_id = {}
    assert tokens.caller(sent) == "shop"
    moment[0] = 4_000_000_000.0
    with pytest.raises(ProblemError, match="not known"):
        tokens.caller(sent)


def test_keys_and_tokens_are_taken_beside_each_other(model: ServedModel, tokens: SignedTokens) -> None:
    with a_bench(model, tokens=tokens, keys=ApiKeys({hashed("a key"): ""})) as bench:
        assert bench.score(event(), authorization=f"Bearer {token()}").status_code == 200
        assert bench.score(event(), authorization="Bearer a key").status_code == 200
        assert bench.score(event(), **{"x-api-key": "a key"}).status_code == 200
        assert bench.score(event(), authorization="Bearer another").status_code == 401


def test_a_key_that_the_provider_withdraws_is_forgotten_and_one_that_is_lost_is_not(tokens: SignedTokens) -> None:
    sent = token()
    assert tokens.caller(sent) == "shop"
    tokens.keys._read = lambda: b"[]"
    tokens.keys.look()
    assert tokens.caller(sent) == "shop"
    tokens.keys._read = lambda: document(KEYS[0])
    tokens.keys.look()
    with pytest.raises(ProblemError, match="not known"):
        tokens.caller(sent)


def test_a_new_key_is_looked_for_when_a_token_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.serving.tokens._SOONEST_SECONDS", 0.01)
    published = [KEYS[0]]
    keys = PublicKeys(lambda: document(*published), 3_600.0)
    tokens = SignedTokens(JwtSettings(jwks_file=Path("x"), **RULES), "late", keys)
    try:
        published.append(KEYS[1])
        with pytest.raises(ProblemError, match="not known"):
            tokens.caller(token())
        eventually(lambda: "curve" in keys.by_id)
        assert tokens.caller(token()) == "shop"
    finally:
        keys.stop()
    assert not any(thread.name == "public-keys" for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"{", "no set of public keys", id="no JSON"),
        pytest.param(b"[]", "no set of public keys", id="a list"),
        pytest.param(document({"kty": "unheard"}), "no set of public keys", id="an unknown kind"),
        pytest.param(document({"kty": "oct", "k": "c2VjcmV0", "kid": "x"}), "no public key", id="a secret"),
        pytest.param(document({**KEYS[0], "use": "enc"}), "no public key", id="for encryption alone"),
        pytest.param(document(), "no public key", id="none"),
    ],
)
def test_a_document_without_a_usable_key_ends_the_start(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(content)
    settings = Settings(model=ModelSettings(name="late"), serve=ServeSettings(jwt=JwtSettings(jwks_file=path, **RULES)))
    with ExitStack() as stack, pytest.raises(ConfigurationError, match=message):
        admission(settings, ApiKeys(), stack)


def test_the_settings_file_of_public_keys_is_read(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(document(*KEYS))
    settings = Settings(model=ModelSettings(name="late"), serve=ServeSettings(jwt=JwtSettings(jwks_file=path, **RULES)))
    with ExitStack() as stack:
        made = admission(settings, ApiKeys(), stack)
        assert made.admit({"authorization": f"Bearer {token()}"}, "127.0.0.1") == "shop"


@given(st.binary(max_size=200))
def test_no_bytes_are_keys_or_a_fault(content: bytes) -> None:
    with pytest.raises(ValueError, match="public key"):
        public_keys(content)


def clocked(per_second: float, burst: float) -> tuple[CallerRates, Callable[[float], None]]:
    now = [0.0]

    def later(seconds: float) -> None:
        now[0] += seconds

    return CallerRates(per_second, burst, lambda: now[0]), later


def test_a_caller_may_ask_at_a_rate_and_after_a_pause_at_once() -> None:
    rates, later = clocked(2.0, 3.0)
    assert [rates.wait("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert rates.wait("b") == 0.0
    later(0.25)
    assert rates.wait("a") == 0.25
    later(0.25)
    assert [rates.wait("a"), rates.wait("a")] == [0.0, 0.5]
    later(3_600.0)
    assert [rates.wait("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=60), st.floats(0.1, 20.0), st.floats(1.0, 10.0))
def test_no_caller_gets_more_than_its_rate_and_burst(pauses: list[float], per_second: float, burst: float) -> None:
    rates, later = clocked(per_second, burst)
    admitted = 0
    for pause in pauses:
        later(pause)
        admitted += rates.wait("a") == 0.0
    assert admitted <= burst + sum(pauses) * per_second + 1e-6


def test_the_callers_that_are_remembered_are_bounded() -> None:
    rates, _ = clocked(1.0, 1.0)
    for number in range(10_005):
        rates.wait(str(number))
    assert len(rates._buckets) == 10_000
    assert rates.wait("10004") > 0.0
    assert rates.wait("0") == 0.0


def test_a_caller_beyond_its_rate_is_told_when_to_come_again_and_no_other(model: ServedModel) -> None:
    rates, later = clocked(0.5, 2.0)
    with a_bench(model, rates=rates, keys=ApiKeys({hashed("one"): "", hashed("two"): ""})) as bench:
        answers = [bench.score(event(), **{"x-api-key": "one"}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert (answers[2].headers["retry-after"], answers[2].json()["type"]) == (
            "2",
            "urn:penstock:problem:rate-limited",
        )
        assert bench.score(event(), **{"x-api-key": "two"}).status_code == 200
        assert all(bench.ask("GET", "/health").status_code == 200 for _ in range(5))
        later(2.0)
        assert bench.score(event(), **{"x-api-key": "one"}).status_code == 200


def test_each_request_is_logged_with_its_caller_where_the_settings_say_so(model: ServedModel) -> None:
    keys = ApiKeys({hashed("one"): "the shop", hashed("two"): ""})
    with a_bench(model, keys=keys, settings=ServeSettings(audit=True)) as bench, capture_logs() as logs:
        bench.score(event(), **{"x-api-key": "one", "x-request-id": "r1"})
        bench.score(event(hour=None), **{"x-api-key": "two"})
        bench.score(event(), **{"x-api-key": "three"})
        bench.ask("GET", "/health")
        bench.ask("POST", "/model/reload", headers={"origin": "http://evil.example"})
    lines = [(line["caller"], line["route"], line["status"]) for line in logs if line["event"] == "request"]
    reload = ("127.0.0.1", "/model/reload", 403)
    name = f"key-{hashed('two')[:8]}"
    assert lines == [("the shop", "/v1/score", 200), (name, "/v1/score", 422), ("127.0.0.1", "other", 401), reload]
    assert logs[0]["request_id"] == "r1"
    assert "one" not in str(logs[1:])
