"""Stages from text to words: Tokenizer, RegexTokenizer, StopWordsRemover, NGram."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from streaming.scoring.compiled.java_text import agreed_pattern, has_sure_lower_case, java_length, split
from streaming.scoring.compiled.scope import Apply, Columns, Scope, reject
from streaming.scoring.compiled.values import Kind, Tokens

_WHITE = re.compile(r"[ \t\n\x0b\f\r]")
_OTHER_CASES = ("tr", "az", "lt")
"""Languages in which Java has a lower case of its own."""


def tokenizer(scope: Scope) -> Apply:
    """``Tokenizer``: lower case, divided at each white space."""
    return _divided(scope, lambda text: split(_WHITE, text), lowers=True)


def regex_tokenizer(scope: Scope) -> Apply:
    """``RegexTokenizer``: divided at matches, or the matches themselves; short words are left out."""
    stage = scope.stage
    pattern, least = agreed_pattern(stage.text("pattern")), stage.whole("minTokenLength")
    if pattern is None:
        raise scope.refused(f"Java and Python may not agree on its pattern {stage.text('pattern')!r}")
    gaps = stage.flag("gaps")

    def divide(text: str) -> list[str]:
        parts = split(pattern, text) if gaps else [match.group() for match in pattern.finditer(text)]
        return [part for part in parts if java_length(part) >= least]

    return _divided(scope, divide, lowers=stage.flag("toLowercase"))


def _divided(scope: Scope, divide: Callable[[str], list[str]], *, lowers: bool) -> Apply:
    stage = scope.stage
    source, target = stage.text("inputCol"), stage.text("outputCol")
    scope.text(source)
    scope.put(target, Kind("tokens", pa.list_(pa.string())))

    def apply(columns: Columns) -> None:
        texts = columns.text(source).to_pylist()
        reject(stage, source, np.array([text is None for text in texts], np.bool_), "is null")
        if lowers:
            _reject_unsure(scope, source, [[text] for text in texts])
            texts = [text.lower() for text in texts]
        columns.put(target, [divide(text) for text in texts])

    return apply


def _reject_unsure(scope: Scope, source: str, rows: Tokens) -> None:
    unsure = np.array([not all(map(has_sure_lower_case, tokens)) for tokens in rows], np.bool_)
    reject(scope.stage, source, unsure, "has a letter whose lower case depends on Java's release or on its neighbours")


def stop_words_remover(scope: Scope) -> Apply:
    """``StopWordsRemover``: leaves words out, by their lower case unless it is told otherwise."""
    stage, pairs, exact = scope.stage, scope.pairs(), scope.stage.flag("caseSensitive")
    stopped = stage.texts("stopWords")
    if not exact and stage.text("locale").partition("_")[0] in _OTHER_CASES:
        raise scope.refused(f"its locale is {stage.text('locale')}")
    if not exact and not all(map(has_sure_lower_case, stopped)):
        raise scope.refused("a stop word has a letter whose lower case depends on Java's release or on its neighbours")
    dropped = set(stopped) if exact else {word.lower() for word in stopped}
    for source, target in pairs:
        scope.tokens(source)
        scope.put(target, Kind("tokens", pa.list_(pa.string())))

    def apply(columns: Columns) -> None:
        for source, target in pairs:
            rows = columns.tokens(source)
            if not exact:
                _reject_unsure(scope, source, rows)
            columns.put(
                target, [[word for word in row if (word if exact else word.lower()) not in dropped] for row in rows]
            )

    return apply


def n_gram(scope: Scope) -> Apply:
    """``NGram``: each n words that follow one another, with blanks between them."""
    stage, count = scope.stage, scope.stage.whole("n")
    if count < 1:
        raise stage.unreadable(f"the parameter n is {count}")
    source, target = stage.text("inputCol"), stage.text("outputCol")
    scope.tokens(source)
    scope.put(target, Kind("tokens", pa.list_(pa.string())))

    def apply(columns: Columns) -> None:
        columns.put(target, [_grams(row, count) for row in columns.tokens(source)])

    return apply


def _grams(row: list[str], count: int) -> list[str]:
    return [" ".join(row[start : start + count]) for start in range(len(row) - count + 1)]
