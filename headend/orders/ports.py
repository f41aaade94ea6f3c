"""What orders need of rooms that the head-end does not know; `commands` wires it."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection

from headend.orders.faults import TokenGoneError


class TokenSource(Protocol):
    """Where 20-digit tokens live; an order keeps a reference only."""

    def digits(self, connection: Connection, token_ref: str) -> str:
        """The digits of a token.

        Args:
            connection: in a transaction of the head-end's database.
            token_ref: which.

        Raises:
            TokenGoneError: there is none, or it was taken back.
        """

    def hold(self, connection: Connection, token_ref: str) -> None:
        """Nobody takes the token back until the transaction ends; whoever is at it is waited for.

        Args:
            connection: in a write transaction that has locked no order yet.
            token_ref: which.
        """


class NoTokens:
    """A head-end without a vending house."""

    def digits(self, connection: Connection, token_ref: str) -> str:
        """See `TokenSource`."""
        raise TokenGoneError(f"There is no vending house here to ask for the token {token_ref}.")

    def hold(self, connection: Connection, token_ref: str) -> None:
        """See `TokenSource`; there is nothing to take back."""
