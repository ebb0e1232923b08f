"""A report on made-up windows: two versions, the last days early."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from streaming.quality.cohort import EarlyCohort, MatureCohort, MeasuringRules, measured
from streaming.quality.labels import attach
from streaming.quality.report import QualityReport, quality_report
from streaming.quality.tables import LABELS
from streaming.quality.windows import WindowShape
from tests.support.labels import DAY, label, predicted, table

SHAPE = WindowShape(timedelta(days=1), timedelta(days=1))


def a_quality_report(
    days: int = 12, events: int = 200, carriers: tuple[str, ...] = ("UA", "AA", "B6")
) -> QualityReport:
    """Version 2 answers a third of the events from the fourth day on; the last two days are early."""
    random, cohorts = np.random.default_rng(8), []
    for day in range(days):
        window = SHAPE.at(DAY + timedelta(days=day))
        score = random.uniform(0.02, 0.98, events)
        happened = random.random(events) < score
        rows, labels = [], []
        for number in range(events):
            version = 2 if day > 3 and number % 3 == 0 else 1
            when = window.start + timedelta(minutes=5 * number)
            probabilities = [1 - score[number], score[number]]
            made = {"event_time": when, "version": version, "slice": carriers[number % len(carriers)]}
            rows.append(predicted(number, float(score[number] > 0.5), probabilities, **made))
            if random.random() < 0.95:
                known_at = when + timedelta(hours=float(random.exponential(5)))
                labels.append(label(number, str(int(happened[number])), number, known_at))
        is_early = day >= days - 2
        before = window.end + timedelta(hours=2) if is_early else window.due
        attached = attach(table(rows), [table(labels, LABELS)], before)
        versions = measured(attached, MeasuringRules(slice_column="carrier"), before - window.end)
        why = "labels are due until a day later"
        cohorts.append(EarlyCohort(window, versions, why) if is_early else MatureCohort(window, versions))
    return quality_report(("penstock", "flights"), "carrier", cohorts)
