"""YAML as PyYAML's safe loader reads it, but a key that is written twice is an error, and no message repeats a value.

PyYAML keeps the last of two equal keys in silence, so a section pasted in again drops the first one. Its messages quote
the lines around a mistake, and a configuration's lines hold passwords.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import Any

import yaml
from yaml.constructor import ConstructorError

_MERGE = "tag:yaml.org,2002:merge"
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_TELLS_NOTHING = re.compile(r"""'<.*'|.\\?.?.""", re.DOTALL)
"""What PyYAML quotes and nobody needs: ``'<stream end>'`` is its own, and one character says little. An alias or a tag
may say more."""
_TAB = r"'\t'"
_NEEDS_QUOTES = ("alias", "anchor", "tag", "cannot start any token")


class YamlTextError(ValueError):
    """The text is no YAML, or says something twice. The message says where, and shows none of its values."""


def read_yaml(text: str | bytes) -> Any:
    r"""Return what a YAML document says; ``None`` for an empty one.

    Raises:
        YamlTextError: the text is no YAML, holds more than one document, or has a key twice in the same mapping.

    >>> read_yaml("a: {b: 1}")
    {'a': {'b': 1}}
    >>> read_yaml("a: 1\nb: 2\na: 3")
    Traceback (most recent call last):
    streaming.yaml_text.YamlTextError: the key a is written twice, in lines 1 and 3; keep one of them
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - it is the safe loader and one check more
    except yaml.MarkedYAMLError as error:
        raise YamlTextError(_explain(error)) from None
    except yaml.YAMLError as error:  # a control character, or bytes that are no UTF-8
        raise YamlTextError(f"{getattr(error, 'reason', None) or 'it has characters that YAML forbids'}") from None
    except RecursionError:
        raise YamlTextError("it is nested too deeply") from None


def line_of(text: str | bytes, path: Sequence[str | int]) -> int:
    r"""Return the line of a value in a YAML document, or of what is above it where the document does not go so deep.

    >>> line_of("a: 1\nsteps:\n- share: 2", ("steps", 0, "share"))
    3
    """
    node = yaml.compose(text, _Loader)
    line = 0
    for key in path:
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        pairs = children if isinstance(node, yaml.MappingNode) else list(enumerate(children))
        matches = [pair for pair in pairs if getattr(pair[0], "value", pair[0]) == key]
        if not matches:
            break
        node = matches[0][1]
        # A mapping's value may begin below its key.
        line = (matches[0][0] if isinstance(matches[0][0], yaml.Node) else node).start_mark.line
    return int(line) + 1


class _Loader(yaml.SafeLoader):
    """Looks at the keys as they are composed: a merge (``<<``) adds more of them later, which may be the same."""

    def __init__(self, stream: str | bytes) -> None:
        super().__init__(stream)
        self._being_composed: set[str] = set()

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent) and self.peek_event().anchor in self._being_composed:  # type: ignore[no-untyped-call]
            raise ConstructorError(None, None, "a value contains itself", self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)

    def compose_sequence_node(self, anchor: Any) -> Any:
        self._being_composed.add(anchor)
        node = super().compose_sequence_node(anchor)
        self._being_composed.discard(anchor)
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        self._being_composed.add(anchor)
        node = super().compose_mapping_node(anchor)
        self._being_composed.discard(anchor)
        self._refuse_twice(node)
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError):  # the 31st of February
            raise ConstructorError(None, None, "a date or number that there is not", node.start_mark) from None

    def _refuse_twice(self, node: yaml.MappingNode) -> None:
        lines: dict[Hashable, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            line, name = key.start_mark.line + 1, self.construct_object(key)
            if name in lines:
                raise ConstructorError(None, None, _twice(key.value, lines[name], line), None)
            lines[name] = line


def _twice(key: str, first: int, second: int) -> str:
    where = f"in lines {first} and {second}" if first != second else f"both times in line {first}"
    return f"the key {key} is written twice, {where}; keep one of them"


def _explain(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    problem = ", ".join(filter(None, (error.context, error.problem)))
    hint = ""
    if _TAB in problem:
        hint = "; indent by blanks, not by a tab"
    elif any(word in problem for word in _NEEDS_QUOTES):
        hint = "; a value that begins with one of & * ! % @ ` must stand in quotes"
    shown = _QUOTED.sub(lambda quoted: quoted[0] if _TELLS_NOTHING.fullmatch(quoted[0]) else "***", problem)
    return f"{where}{shown}{hint}"
