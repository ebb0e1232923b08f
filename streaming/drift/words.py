"""What a column's state and movement are, in words for the log, the alert and the report."""

from __future__ import annotations

from schemas.drift import State
from schemas.movement import Movement, Shares
from streaming.drift.pair import SPECIAL, Pair

_OF_CELLS = {"nulls": "null", "non_finite": "not finite", "unseen": "a value the model was not shown"}


def cause(state: State, rows: int, movement: Movement | None) -> str:
    """Return why a column with so many rows in the window is in its state, in words that nothing takes apart again.

    >>> cause(State.DRIFT, 900, Movement("level", 1, 0.31))
    'level rose by 0.31 standard deviations'
    """
    if movement is not None:
        return _moved(movement)
    if state is State.INSUFFICIENT:
        return f"{rows:,} rows are too few to say"
    if state is State.STABLE:
        return "as the reference, within chance"
    return "as the reference in this window, but not yet for long enough"


def _moved(movement: Movement) -> str:
    test, shares = movement.test, movement.shares
    if shares is None:
        return f"level {level_words(movement)}"
    if test == "shape":
        return f"shape: {shape_words(movement, shares)}"
    if test == "beyond":
        return f"{shares.window:.1%} of rows are {beyond_words(movement)}"
    if test in _OF_CELLS:
        return f"{_OF_CELLS[test]}: {cell_words(shares)}"
    return dead_letter_words(shares)


def level_words(movement: Movement) -> str:
    """Return which way a level went and how far."""
    return f"{'rose' if movement.direction > 0 else 'fell'} by {movement.size:.2f} standard deviations"


def shape_words(movement: Movement, shares: Shares) -> str:
    """Return the bin that differs most, and its shares."""
    return f"{movement.bin}: {shares.reference or 0.0:.1%} to {shares.window:.1%} of rows"


def beyond_words(movement: Movement) -> str:
    """Return on which side of the reference's values the window's are."""
    return f"{'above' if movement.direction > 0 else 'below'} all of the reference's values"


def cell_words(shares: Shares) -> str:
    """Return a special cell's shares."""
    return f"{shares.window:.1%} of rows, {shares.reference or 0.0:.1%} in the reference"


def dead_letter_words(shares: Shares) -> str:
    """Return the share of dead letters."""
    return f"{shares.window:.1%} of rows became dead letters"


def bin_name(pair: Pair, index: int) -> str:
    """Return what people call the bin at ``index`` of the pair's cells."""
    values = len(pair.reference) - SPECIAL
    if index >= values:
        return ("null", "not finite", "other")[index - values]
    if not pair.ordered:
        categories = pair.profile.categories
        return categories[index] if index < len(categories) else "rare ones"
    edges = pair.profile.edges
    if not edges:
        return "any value"
    if index == 0:
        return f"below {edges[0]:.4g}"
    return f"from {edges[-1]:.4g}" if index == len(edges) else f"{edges[index - 1]:.4g} to {edges[index]:.4g}"
