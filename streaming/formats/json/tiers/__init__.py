"""The rules of docs/events.md in three tiers, each faster than the next, that cannot disagree.

What one tier cannot prove to be valid, it hands to the next. The last is the reference, and only it rejects.
"""
