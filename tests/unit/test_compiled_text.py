"""Text as Java and Spark treat it; that whole stages answer as Spark's do is tested beside Spark."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils import murmurhash3_32

from streaming.errors import ScoringError, StageNotCompiledError, StageUnreadableError
from streaming.scoring.compiled.java_text import (
    agreed_pattern,
    has_sure_lower_case,
    is_javas_spelling,
    java_length,
    split,
)
from streaming.scoring.compiled.murmur import murmur3
from streaming.scoring.compiled.program import compile_pipeline
from streaming.scoring.compiled.scope import Columns
from streaming.scoring.compiled.values import SparseRows, beside, dot, products
from tests.support.exports import assembled, dense
from tests.support.saved import Stage, save_pipeline

EVENTS = pa.schema([("text", pa.string()), ("a", pa.float64())])
TOKENIZER: Stage = ("feature.Tokenizer", {"inputCol": "text", "outputCol": "tokens"})


def run(folder: Path, stages: list[Stage], texts: list[str | None], fitted: dict[str, Any] | None = None) -> Columns:
    batch = pa.record_batch([pa.array(texts, pa.string()), pa.array([1.5] * len(texts))], schema=EVENTS)
    return compile_pipeline(save_pipeline(folder / "model", stages, fitted or {}), EVENTS).run(batch)


@given(st.text(max_size=30))
def test_the_hash_is_murmurs_own(text: str) -> None:
    assert murmur3(text) == murmurhash3_32(text.encode(), seed=42)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"\s+", id="white space"),
        pytest.param(r"[^a-zA-Z0-9_.]+", id="a class and its opposite"),
        pytest.param(r"\W", id="no letter"),
        pytest.param(r",|;|\|", id="alternatives"),
        pytest.param(r"(?:ab|[0-9]{2,3})", id="a group"),
        pytest.param(r"[\s,.!?]{2}", id="an escape in a class"),
    ],
)
def test_a_pattern_on_which_java_and_python_agree_is_taken(pattern: str) -> None:
    assert agreed_pattern(pattern) is not None


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"\b\w+\b", id="bounds of words, which Java 17 and 19 see in other places"),
        pytest.param(r"\s*", id="what matches nothing"),
        pytest.param(r"a|", id="an alternative that is nothing"),
        pytest.param(r".", id="a point, which ends at other ends of lines"),
        pytest.param(r"\p{L}+", id="a property"),
        pytest.param(r"[a-z&&[^b]]", id="an intersection"),
        pytest.param(r"a++", id="a quantifier that keeps what it has"),
        pytest.param(r"a+?", id="a quantifier that takes little"),
        pytest.param(r"(ab)+", id="a group that is repeated"),
        pytest.param(r"(?i)a", id="a flag"),
        pytest.param(r"a$", id="an anchor"),
        pytest.param(r"[z-a]", id="a range that is none"),
        pytest.param(r"(a", id="a group without an end"),
        pytest.param("é", id="a letter beyond ASCII"),
        pytest.param(r"\101", id="an octal number"),
        pytest.param(r"(a)\1", id="a reference"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_pattern_on_which_they_may_not_agree_is_refused(tmp_path: Path, pattern: str) -> None:
    assert agreed_pattern(pattern) is None
    parameters = {"inputCol": "text", "outputCol": "t", "pattern": pattern, "gaps": True, "toLowercase": False}
    with pytest.raises(StageNotCompiledError, match="may not agree on its pattern"):
        run(tmp_path, [("feature.RegexTokenizer", {**parameters, "minTokenLength": 1})], ["a"])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("", [""], id="nothing"),
        pytest.param(" ", [], id="only a match"),
        pytest.param("a", ["a"], id="no match"),
        pytest.param("a ", ["a"], id="a match at the end"),
        pytest.param(" a", ["", "a"], id="a match at the beginning"),
        pytest.param("a  b", ["a", "", "b"], id="two matches in a row"),
    ],
)
def test_a_text_is_divided_as_java_does_it(text: str, parts: list[str]) -> None:
    assert split(re.compile(" "), text) == parts


@pytest.mark.parametrize(
    ("text", "sure"),
    [
        pytest.param("WORD", True, id="ASCII"),
        pytest.param("ÉCOLE", True, id="an accent"),
        pytest.param("ΑΘΗΝΑ", True, id="Greek"),
        pytest.param("ΑΣ", False, id="a sigma, which has another form at the end of a word"),
        pytest.param("\ua7c0", False, id="a letter of Unicode 14"),
    ],
)
def test_the_lower_case_is_sure_where_no_release_has_another(tmp_path: Path, text: str, sure: bool) -> None:
    assert has_sure_lower_case(text) == sure
    if sure:
        assert run(tmp_path, [TOKENIZER], ["a B", text]).tokens("tokens") == [["a", "b"], [text.lower()]]
    else:
        with pytest.raises(ScoringError, match="row 1 of the batch: text has a letter whose lower case"):
            run(tmp_path, [TOKENIZER], ["a B", text])


def test_a_text_that_is_null_fails_as_it_does_in_spark(tmp_path: Path) -> None:
    with pytest.raises(ScoringError, match="row 1 of the batch: text is null"):
        run(tmp_path, [TOKENIZER], ["a", None])


def test_a_character_beyond_the_first_plane_has_the_length_of_two() -> None:
    assert [java_length(text) for text in ("ab", "é", "a\U0001f600")] == [2, 1, 3]


@pytest.mark.parametrize("release", ["", "x.1"], ids=["none", "no number"])
def test_hashes_of_an_unknown_release_are_refused(tmp_path: Path, release: str) -> None:
    hashes: Stage = ("feature.HashingTF", {"inputCol": "tokens", "outputCol": "v", "numFeatures": 8, "binary": False})
    folder = save_pipeline(tmp_path / "model", [TOKENIZER, hashes], {})
    metadata = next(folder.glob("stages/1_*/metadata/part-*"))
    metadata.write_text(metadata.read_text().replace('"4.2.0"', f'"{release}"'))
    with pytest.raises(StageUnreadableError, match="its release of Spark"):
        compile_pipeline(folder, EVENTS)


def test_a_model_that_needs_all_elements_of_a_large_vector_is_refused(tmp_path: Path) -> None:
    hashes: Stage = (
        "feature.HashingTF",
        {"inputCol": "tokens", "outputCol": "v", "numFeatures": 2048, "binary": False},
    )
    norms: Stage = ("feature.MaxAbsScalerModel", {"inputCol": "v", "outputCol": "w"})
    fitted = {"feature.MaxAbsScalerModel": {"maxAbs": dense(*[1.0] * 2048)}}
    with pytest.raises(StageNotCompiledError, match="it needs all 2048 elements of v at once"):
        run(tmp_path, [TOKENIZER, hashes, norms], ["a"], fitted)


def test_a_large_vector_stays_sparse_beside_numbers(tmp_path: Path) -> None:
    hashes: Stage = (
        "feature.HashingTF",
        {"inputCol": "tokens", "outputCol": "h", "numFeatures": 2**18, "binary": False},
    )
    rows = run(tmp_path, [TOKENIZER, hashes, assembled("a", "h", "a")], ["x y x", ""]).rows_of("v")
    assert isinstance(rows, SparseRows)
    assert rows.shape == (2, 2**18 + 2)
    assert rows.row.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert sorted(rows.value.tolist()) == [1.0, 1.0, 1.5, 1.5, 1.5, 1.5, 2.0]
    assert (np.diff(rows.row * rows.shape[1] + rows.element) > 0).all()


MATRICES = st.lists(
    st.lists(st.sampled_from([0.0, 0.0, 0.1, -2.5, 1e16, math.inf]), min_size=3, max_size=3), max_size=4
)


@given(MATRICES)
def test_sparse_rows_have_the_products_of_dense_ones_to_the_bit(values: list[list[float]]) -> None:
    rows = np.array(values, np.float64).reshape(-1, 3)
    weights = np.array([[0.1, 0.2, -0.3], [1e16, 1.0, -1e16]])
    sparse = beside([rows[:, :1], rows[:, 1:]], (len(rows), 3))
    assert np.array_equal(sparse.dense(), rows)
    with np.errstate(invalid="ignore"):
        assert np.array_equal(dot(sparse, weights[0]), dot(rows, weights[0]), equal_nan=True)
        assert np.array_equal(products(sparse, weights), products(rows, weights), equal_nan=True)


@pytest.mark.parametrize(
    ("text", "is_spelling"),
    [
        ("0.0", True), ("-0.0", True), ("0.001", True), ("9999999.0", True), ("1.0E7", True), ("1.25E-4", True),
        ("NaN", True), ("-Infinity", True), ("1.7976931348623157E308", True),
        ("1", False), ("1.50", False), ("01.5", False), ("0.0001", False), ("1.0E2", False), ("1e7", False),
        ("nan", False), ("1.0E07", False), ("", False), (" 1.0", False),
    ],
)  # fmt: skip
def test_java_spells_a_double_in_one_way(text: str, is_spelling: bool) -> None:
    assert is_javas_spelling(text) == is_spelling


@pytest.mark.parametrize(
    "reader",
    [
        pytest.param(assembled("a", "tokens"), id="a vector of them"),
        pytest.param(("feature.Interaction", {"inputCols": ["a", "tokens"], "outputCol": "v"}), id="products"),
        pytest.param(("feature.Binarizer", {"inputCol": "tokens", "outputCol": "v"}), id="high and low"),
        pytest.param(("feature.NGram", {"inputCol": "text", "outputCol": "v", "n": 2}), id="pairs of a text"),
    ],
)
def test_words_where_numbers_are_read_and_text_where_words_are_read_are_refused(tmp_path: Path, reader: Stage) -> None:
    with pytest.raises(StageNotCompiledError, match=r"(tokens|text)"):
        run(tmp_path, [TOKENIZER, reader], ["a"])
