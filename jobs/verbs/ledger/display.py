"""How ``penstock ledger`` shows answers and records to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Record = Mapping[str, Any]


def show_answer(console: Console, answer: Record) -> None:
    """Print one answer: its sentence, then the facts."""
    console.print(Text(answer["summary"], style="bold" if answer["found"] else "bold yellow"), soft_wrap=True)
    table = Table.grid(padding=(0, 2))
    for name, text in _facts(answer):
        table.add_row(Text(name, style="dim"), Text(text, overflow="fold"))
    console.print(table)


def _facts(answer: Record) -> Iterator[tuple[str, str]]:
    yield from _versions(answer)
    if answer.get("run_id"):
        yield "run", answer["run_id"]
    if "data_digest" in answer:
        yield "data", answer["data_digest"] or answer.get("data_digest_problem", "MLflow has no digest of the data")
    if "since" in answer:
        since = answer["since"]
        reason = f", {since['reason']}" if since["reason"] else ""
        yield "since", f"{since['at']}: {since['type']} by {since['actor']}{reason}"
    if "plan" in answer:
        yield from _plan(answer, "plan")
        sure = "recorded" if answer["certainty"] == "recorded" else "planned; the outcome was lost"
        yield "known by", sure + _others(answer.get("others", ()))
    for name in ("before", "after"):
        if name in answer:
            yield from _plan(answer[name], f"plan {name}", named=True)
    for sentence in _degraded(answer):
        yield "degraded", sentence
    if "recorded" in answer:
        yield "recorded", f"{answer['recorded']['at']}, lease epoch {answer['recorded']['epoch']}"
    if "output" in answer:
        output = answer["output"]
        location = f"{output['topic']}, partition {output['partition']}, offset {output['offset']}"
        yield output["kind"].replace("_", " "), location


def _versions(answer: Record) -> Iterator[tuple[str, str]]:
    if "version" in answer:
        yield "version", f"{answer.get('model', '')} v{answer['version']}".strip()
    if "arms" in answer:
        yield "arms", _arms(answer["arms"])


def _arms(arms: Sequence[Record]) -> str:
    return ", ".join(f"{arm['model']} v{arm['version']} ({arm['role']})" for arm in arms)


def _plan(answer: Record, name: str, *, named: bool = False) -> Iterator[tuple[str, str]]:
    plan = answer["plan"]
    versions = _arms(answer["arms"]) if "arms" in answer else _version(answer)
    version = f" ({versions})" if named else ""
    yield name, f"{plan['id']}{version}, {plan['at']}, lease epoch {plan['epoch']}"
    if not named:
        yield "batch", f"{plan['batch']} of checkpoint {plan['checkpoint']}"
    if plan["reason"]:
        yield "because", plan["reason"]


def _version(answer: Record) -> str:
    if "model" in answer:
        return f"{answer['model']} v{answer['version']}"
    return f"table {answer['models']['table']} of {answer['models']['rule']}"


def _degraded(record: Record) -> Iterator[str]:
    """Yield what the fallback chain answers of a plan."""
    for part in record.get("degraded", ()):
        (model, number, _), (_, before, _) = part["version"], part["instead_of"]
        rows = sum(map(len, part.get("rows", {}).values()))
        answers = f"{model} v{number}" if number else "the default score"
        champion = f"v{before}" if before > 0 else "a champion that is not loaded"
        events = f"{rows} events" if rows else "all events"
        yield f"{answers} answers {events} in place of {champion} ({part['reason']})"


def _others(others: Sequence[Record]) -> str:
    return "; it may have been " + ", ".join(f"{o['plan']} (v{o['version']})" for o in others) if others else ""


def show_records(console: Console, records: Sequence[Record]) -> None:
    """Print records as a table, a line each."""
    table = Table("at", "type", "what", box=None)
    for record in records:
        table.add_row(record["at"], record["type"], Text(describe(record), overflow="fold"))
    console.print(table)


def describe(record: Record) -> str:
    """Return one record in a line.

    >>> describe({"type": "lease", "application": "flights", "epoch": 3, "at": ""})
    'epoch 3'
    >>> describe({"type": "start", "starts": {"0": 5, "1": 0}})
    '0 from 5, 1 from 0'
    """
    kind = record["type"]
    if kind == "lease":
        return f"epoch {record['epoch']}"
    if kind == "start":
        return ", ".join(f"{partition} from {offset}" for partition, offset in record["starts"].items())
    if kind == "plan":
        reason = f"; {record['reason']}" if record["reason"] else ""
        ranges = _spans(record["ranges"])
        version = "" if "arms" in record else f"{record['model']} v{record['version']} scores"
        scores = version or f"{_arms(record['arms'])} score"
        degraded = "".join(f"; {sentence}" for sentence in _degraded(record))
        return f"{record['plan']}: {scores} batch {record['batch']}, {ranges}{degraded}{reason}"
    if kind == "outcome":
        return f"{record['plan']}: {_counts(record['partitions'].values())}"
    if kind == "models":
        return f"table {record['table']} of {record['models']}: {len(record['rows']):,} models"
    if kind == "skip":
        return f"{_spans(record['gaps'])}: {record['reason']} ({record['actor']})"
    return _rollout(record) if kind == "rollout" else _event(record)


def _rollout(record: Record) -> str:
    name = record["rollout"]
    if record["kind"] == "declaration":
        shares = " to ".join(f"{step['share']:g}" for step in record["steps"])
        return f"{name}: {record['model']} v{record['version']} is to have shares of {shares}"
    if record["kind"] == "order":
        return f"{name}: {record['order']} ordered"
    if record["kind"] == "verdict":
        return f"{name}: the judge says {record['finding']}, {record['why']}"
    step = f" {record['step'] + 1}" if record["phase"] == "step" else ""
    return f"{name}: {record['phase']}{step}, {record['why']}"


def _spans(ranges: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{p}: {start} to {end - 1}" for p, (start, end) in ranges.items() if end > start) or "no offsets"


def _counts(partitions: Any) -> str:
    parts = list(partitions)
    letters = sum(sum(part["dead_letters"].values()) for part in parts)
    skipped = sum(part["skipped"] for part in parts)
    counts = [f"{sum(part['predictions'] for part in parts):,} predictions"]
    counts += [f"{letters:,} dead letters"] if letters else []
    return ", ".join(counts + ([f"{skipped:,} written before"] if skipped else []))


def _event(record: Record) -> str:
    """Describe a model event, or a record of a later release: the versions, then its other facts."""
    old, new = record.get("from_version"), record.get("to_version")
    versions = f"{f'v{old} to ' if old else ''}v{new}" if new else f"v{old}" if old else ""
    parts = [f"by {record['actor']}" if record.get("actor") else "", record.get("reason"), record.get("detail")]
    return ", ".join(str(part) for part in (versions, *parts) if part)
