"""A check before a replay: is the lookup table of then still in its topic?"""

from __future__ import annotations

from collections.abc import Mapping

from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.lookup_source import KafkaTableSource, KafkaTableState
from streaming.errors import DataError
from streaming.lookup.past import past_is_whole
from streaming.lookup_state import LookupState


def require_past(kafka: Mapping[str, str], topic: str, state: LookupState, now_ms: int) -> None:
    """See that the lookup table can be read as it was at a state.

    Raises:
        DataError: it cannot be told from the log any more.
        LookupUnavailableError: the topic cannot be read.
    """
    present = KafkaTableState(kafka, topic)()
    if present.topic_id != state.topic_id:
        raise DataError(
            f"the lookup table's topic {topic!r} was made anew since the events were scored, and the table of then is"
            " gone; begin the replay with later events"
        )
    info = KafkaAdmin(kafka, f"{topic}.lookup").required_topic(topic)
    # Within the lag, nothing is removed because of a record that young, such as all those above the state's end.
    if now_ms - state.at_ms <= info.compaction_lag_ms:
        return
    if not past_is_whole(KafkaTableSource(client_config(kafka), topic), present.ends, state.ends):
        raise DataError(
            f"compaction has removed records of the lookup table's topic {topic!r}, and what it was at the offsets"
            f" {list(state.ends)} cannot be told any more; begin the replay with later events, and set the topic's"
            " min.compaction.lag.ms to how far back replays have to reach"
        )
