"""What was agreed when a token was ordered stays agreed until it is given out.

Between the order to a security module outside of this process and the storing of its token
(`vending.shop.intents`) everything may change: the price, the meter's limits, whose terminal it
is, who asks.  The customer has agreed to the money at the order, and the token that was made is
exactly that.  So whatever a request looks up before it orders is looked up once:

* when it orders, each function marked `agreed` does what it does, and its answer is kept with the
  intent;
* when the token is there, the same functions, called in the same order, give what is kept.  They
  ask nothing, refuse nothing and write nothing.

What a request does after its order is done once the token is there, on the state of that
moment; the database's holds (`vending.shop.holds`) see to it that nothing can be in its way.
A request that makes its tokens within one transaction meets none of this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar, get_type_hints

from vending.shop.faults import OrderChangedError
from vending.shop.making import in_the_making
from vending.shop.plain import from_plain, to_plain

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


def agreed(look: Callable[P, T]) -> Callable[P, T]:
    """Mark a function whose answer is what a token is ordered by.

    Its return annotation says how the answer is read back (`vending.shop.plain`).
    """

    @wraps(look)
    def looked(*args: P.args, **named: P.kwargs) -> T:
        making = in_the_making()
        if making is None or making.is_inside:
            return look(*args, **named)
        name = look.__name__
        if making.is_kept:
            return _read(look, making.next_kept(name))
        with making.inside():
            answer = look(*args, **named)
        making.keep(name, to_plain(answer))
        return answer

    return looked


def _read(look: Callable[..., T], plain: Any) -> T:
    try:
        kept: T = from_plain(_answer_of(look), plain)
    except (TypeError, ValueError, LookupError, AttributeError) as fault:
        raise OrderChangedError(
            f"What {look.__name__} had said when the token was ordered cannot be read by this "
            "program: finish it with the version that ordered it."
        ) from fault
    return kept


@dataclass(frozen=True, slots=True)
class _Who:
    operator: str
    terminal: str


def as_ordered(request: R) -> R:
    """A request with the operator and the terminal that ordered its token, whoever asks again."""
    if in_the_making() is None:
        return request
    who = _who(request)
    changed: R = replace(request, operator=who.operator, terminal=who.terminal)  # type: ignore[type-var]
    return changed


@agreed
def _who(request: Any) -> _Who:
    return _Who(request.operator, request.terminal)


@cache
def _answer_of(look: Callable[..., Any]) -> Any:
    return get_type_hints(look)["return"]
