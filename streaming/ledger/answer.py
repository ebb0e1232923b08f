"""What is answered about an offset or a moment, put together from ledger and outputs: plain values, ready for JSON.

An answer has ``found``, ``fate`` and a ``summary`` in one sentence; the rest is there as far as it is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from streaming.ledger.lineage import Fate, Lineage, Position
from streaming.ledger.plan import Plan
from streaming.ledger.serving_at import Moment
from streaming.models.ref import ModelVersion
from streaming.outputs.read_back import Output

Answer = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What is known of one offset. ``end`` is the input's end; ``exists`` whether the input has a record there.

    ``exists`` is ``None`` where the input does not reach back that far. ``written_to`` is the mark, if there is one.
    """

    position: Position
    lineage: Lineage
    output: Output | None
    exists: bool | None
    end: int
    written_to: int | None


def about_offset(facts: Facts) -> Answer:
    """Return the answer for an offset."""
    facts = replace(facts, lineage=_settled(facts.lineage, facts.output))
    lineage, output = facts.lineage, facts.output
    is_answered, fate, summary = _verdict(facts)
    answer: Answer = {"found": is_answered, "fate": fate, "summary": summary, "source": _source(facts.position)}
    if lineage.plan is not None and fate != "no_event":
        answer |= {"certainty": lineage.certainty.value if lineage.certainty else None, **_plan(lineage.plan, output)}
        if lineage.recorded_at:
            answer["recorded"] = {"at": lineage.recorded_at, "epoch": lineage.epoch}
        if lineage.others:
            answer["others"] = [
                {"plan": plan.id, "version": arm.version.version} for plan in lineage.others for arm in plan.arms.arms
            ]
    elif output is not None:
        named = {"model": output.model, "version": output.version, "run_id": output.run_id}
        answer |= {key: value for key, value in named.items() if value}
    if output is not None:
        answer["output"] = _output(output)
    if lineage.skip is not None:
        answer["skip"] = {key: lineage.skip.get(key) for key in ("at", "actor", "reason")}
    return answer


def _settled(lineage: Lineage, output: Output | None) -> Lineage:
    """Return the lineage with the plan that made the output, where several plans may have written the offset."""
    able = [plan for plan in (*lineage.others, lineage.plan) if plan is not None]
    right = [plan for plan in able if output is not None and _agrees(plan, output)]
    if not right:
        return lineage
    return replace(lineage, plan=right[-1], others=tuple(right[:-1]))


def _verdict(facts: Facts) -> tuple[bool, str, str]:
    lineage, where = facts.lineage, _position_text(facts.position)
    if lineage.fate is Fate.PENDING:
        if facts.exists is None and facts.position.offset >= facts.end:
            return False, "pending", f"{where} is not there yet: the topic ends at {facts.end}."
        upto = "" if facts.written_to is None else f": the application has written up to {facts.written_to}"
        return False, "pending", f"{where} is not scored yet{upto}."
    if lineage.fate is Fate.SKIPPED and lineage.skip is not None:
        skip = lineage.skip
        why = f"skipped by {skip.get('actor')} at {skip.get('at')}: {skip.get('reason')}"
        return False, "skipped", f"{where} was never scored; {why}."
    if lineage.fate is Fate.BEFORE_START:
        start = "" if lineage.start is None else f", which began at offset {lineage.start}"
        return False, "before_start", f"{where} was there before the application{start}; it was never to be scored."
    if lineage.fate is Fate.FORGOTTEN:
        return _forgotten(facts, where)
    return _written(facts, where)


def _written(facts: Facts, where: str) -> tuple[bool, str, str]:
    plan, output = facts.lineage.plan, facts.output
    if plan is None:
        raise AssertionError("an offset that was written has a plan")
    if output is None and facts.exists is False:
        return False, "no_event", f"{where} holds no event: it is a transaction's marker, or was compacted away."
    if output is None:
        scorer = f"one of {plan.arms}" if len(plan.arms.arms) > 1 or plan.arms.is_table else plan.version
        return True, "written", f"{where} was scored by {scorer}; the output itself is not on its topic any more."
    arm = plan.maker(output)
    if arm is None or not _agrees(plan, output):
        summary = f"{where}: the ledger says {plan.arms}, but its {output.kind} says version {output.version}."
        return False, "contradiction", summary
    if output.kind == "dead letter":
        return True, "written", f"{where} became a dead letter ({output.reason}) under {arm.version}."
    return True, "written", f"{where} was scored by {arm.version}."


def _agrees(plan: Plan, output: Output) -> bool:
    if plan.arms.is_table:
        return plan.maker(output) is not None
    versions = (*(arm.version for arm in plan.arms.arms), *(part.version for part in plan.degraded))
    return any(output.may_be_of(version.key) for version in versions)


def _forgotten(facts: Facts, where: str) -> tuple[bool, str, str]:
    since = facts.lineage.since
    reach = f"the ledger goes back to {since} only" if since else "the ledger has no record of this application"
    if facts.output is None:
        return False, "forgotten", f"{where} is older than what is known: {reach}."
    return True, "forgotten", f"{where}: {reach}, but the {facts.output.kind} names version {facts.output.version}."


def about_moment(moment: Moment, at: str) -> Answer:
    """Return the answer for a moment, ``at`` in RFC 3339."""
    plans = {name: _plan(plan) for name, plan in (("before", moment.before), ("after", moment.after)) if plan}
    if moment.version is None:
        reach = f"goes back to {moment.since} only" if moment.since else "has no record of this application"
        summary = f"Which version served at {at} is not known: the ledger {reach}."
        return {"found": False, "fate": "forgotten", "summary": summary, "time": at, **plans}
    key = moment.version
    served = moment.serving or {"run_id": moment.before.version.run_id if moment.before else None}
    named = {"model": key.name, "version": key.version, "run_id": served.get("run_id")}
    summary = f"At {at} {key.name} v{key.version} served."
    answer: Answer = {"found": True, "fate": "served", "summary": summary, "time": at, **named, "epoch": moment.epoch}
    if moment.serving is not None:
        answer["since"] = {key: moment.serving.get(key) for key in ("at", "type", "actor", "reason")}
    if moment.before is not None and moment.recorded_at:
        plans["before"]["recorded"] = {"at": moment.recorded_at}
    return answer | plans


def _plan(plan: Plan, output: Output | None = None) -> Answer:
    """Return what a plan says; of several arms, the one that made ``output`` is named, else all of them."""
    made = {"id": plan.id, "epoch": int(plan.id.partition(".")[0]), "at": plan.at}
    where = {"checkpoint": plan.checkpoint, "batch": plan.batch, "reason": plan.reason or None}
    answer: Answer = {"plan": {**made, **where}}
    if len(plan.arms.arms) > 1:
        answer["arms"] = [{"role": arm.role, **_version(arm.version)} for arm in plan.arms.arms]
    if plan.arms.is_table:
        answer["models"] = {"rule": plan.version.name, "table": plan.version.version}
    if plan.degraded:
        answer["degraded"] = [part.to_dict() for part in plan.degraded]
    arm = plan.maker(output)
    return answer if arm is None else {**_version(arm.version), **answer}


def _version(version: ModelVersion) -> Answer:
    return {"model": version.name, "version": version.version, "run_id": version.run_id}


def _output(output: Output) -> Answer:
    record = output.record
    position = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    made = {"version": output.version, "at": output.made_at or None, "reason": output.reason or None}
    return {"kind": output.kind.replace(" ", "_"), **position, **made}


def _source(position: Position) -> Answer:
    return {"topic": position.topic, "partition": position.partition, "offset": position.offset}


def _position_text(position: Position) -> str:
    return f"{position.topic}, partition {position.partition}, offset {position.offset}"
