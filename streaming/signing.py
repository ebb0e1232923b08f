"""Signing and checking webhooks: HMAC-SHA256 over ``<delivery id>.<timestamp>.<body>``, as MLflow does it."""

from __future__ import annotations

import base64
import hashlib
import hmac

VERSION = "v1"


def sign(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature header's value.

    Args:
        secret: Shared by sender and receiver.
        delivery_id: Stays the same when a delivery is tried again.
        timestamp: Seconds since 1970, as text.
        body: The exact bytes on the wire.
    """
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"{VERSION},{base64.b64encode(digest).decode()}"


def is_signed(signature: str, secret: str, delivery_id: str, timestamp: str, body: bytes) -> bool:
    """Return whether ``signature`` is ours, in a time that does not tell how much of it was right."""
    return hmac.compare_digest(signature.encode(), sign(secret, delivery_id, timestamp, body).encode())
