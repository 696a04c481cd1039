"""Message functions behind one interface: ``reference`` is the oracle, ``spectral`` the fast one."""

from __future__ import annotations

from wsgraph_encoders.messages.interface import Message, MessageName, message_function

__all__ = ["Message", "MessageName", "message_function"]
