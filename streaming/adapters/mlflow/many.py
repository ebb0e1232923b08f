"""MLflow as a :class:`streaming.models.many_registry.ManyModels`: models come with their aliases, in pages."""

from __future__ import annotations

from collections.abc import Mapping

from streaming.adapters.mlflow.registry import MlflowRegistry

_PAGE = 1000
"""The most that MLflow gives at once."""


class MlflowModels(MlflowRegistry):
    """Names, resolves and downloads versions; safe from every thread."""

    def aliased(self, prefix: str, alias: str) -> Mapping[str, int]:
        """Return what an alias names; see :meth:`streaming.models.many_registry.ManyModels.aliased`."""
        with self._translated(f"{prefix}*@{alias}"):
            named: dict[str, int] = {}
            token = None
            while True:
                page = self._store.search_registered_models(_filter(prefix), _PAGE, None, token)
                for model in page:
                    number = _aliases(model.aliases).get(alias)
                    if number is not None and model.name.startswith(prefix):
                        named[model.name] = int(number)
                token = page.token
                if not token:
                    return named


def _filter(prefix: str) -> str | None:
    """Return the search for names that begin so, or for more: the wildcards of SQL in a name match anything."""
    quoted = prefix.partition("'")[0]
    return f"name LIKE '{quoted}%'" if quoted else None


def _aliases(aliases: object) -> Mapping[str, str]:
    return aliases if isinstance(aliases, Mapping) else {}
