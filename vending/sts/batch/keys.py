"""The decoder keys of many meters, as values that do not leak: `DecoderKeys`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Self, overload

import numpy as np
from numpy.typing import NDArray

from vending.sts.batch.arrays import Words, frozen
from vending.sts.errors import KeyFormatError
from vending.sts.keys import DecoderKey


class DecoderKeys:
    """N decoder keys of one length; like `DecoderKey` they neither print nor pickle.

    Args:
        words: shape (N, 1) for 64-bit keys, (N, 2) for 128-bit ones, most significant word
            first.  The array is taken over and becomes read-only.

    Raises:
        KeyFormatError: another shape or type.
    """

    __slots__ = ("_words",)

    def __init__(self, words: Words) -> None:
        if words.dtype != np.uint64 or words.ndim != 2 or words.shape[1] not in (1, 2):
            raise KeyFormatError("Decoder keys need an array of uint64 of shape (N, 1) or (N, 2).")
        self._words: Final = frozen(words)

    @classmethod
    def of(cls, keys: Iterable[DecoderKey]) -> Self:
        """Many of one.

        Raises:
            KeyFormatError: the keys are none, or of different lengths; names the index.
        """
        secrets = [key.secret for key in keys]
        if not secrets:
            raise KeyFormatError("Keys of unknown length: give at least one.")
        for index, secret in enumerate(secrets):
            if len(secret) != len(secrets[0]):
                raise KeyFormatError(
                    f"Decoder key at index {index} has {len(secret) * 8} bits; "
                    f"those before it have {len(secrets[0]) * 8}."
                )
        words = np.frombuffer(b"".join(secrets), ">u8").astype(np.uint64)
        return cls(words.reshape(len(secrets), -1))

    @property
    def words(self) -> Words:
        """The keys themselves, shape (N, 1) or (N, 2).  Not for logs, errors or screens."""
        return self._words

    @property
    def bits(self) -> int:
        """The length of each in bits: 64 or 128."""
        return 64 * int(self._words.shape[1])

    def require_bits(self, bits: int) -> None:
        """Refuse keys that do not fit an algorithm.

        Raises:
            KeyFormatError: another length.
        """
        if self.bits != bits:
            raise KeyFormatError(
                f"The decoder keys have {self.bits} bits; this algorithm needs {bits}."
            )

    def require_for(self, count: int) -> None:
        """Refuse keys that do not go with so many meters: as many, or one for all.

        Raises:
            KeyFormatError: another number.
        """
        if len(self) not in (1, count):
            raise KeyFormatError(
                f"{len(self)} decoder keys for {count} meters: give one for each, or one for all."
            )

    def same_as(self, other: DecoderKeys) -> NDArray[np.bool_]:
        """Where two lists of keys of one length hold the same key."""
        return np.asarray((self._words == other.words).all(axis=1))

    def __len__(self) -> int:
        return len(self._words)

    @overload
    def __getitem__(self, place: int) -> DecoderKey: ...
    @overload
    def __getitem__(self, place: slice) -> DecoderKeys: ...
    def __getitem__(self, place: int | slice) -> DecoderKey | DecoderKeys:
        if isinstance(place, slice):
            # One key for all stays one key, whichever meters are chosen.
            return self if len(self) == 1 else DecoderKeys(self._words[place])
        return DecoderKey(self._words[place].astype(">u8").tobytes())

    def __repr__(self) -> str:
        return f"DecoderKeys({len(self)} of {self.bits} bits, secret)"

    def __reduce__(self) -> str:
        raise TypeError("DecoderKeys are secret and are not pickled.")
