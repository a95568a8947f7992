"""Credentials that change while we run: a destination that refuses them is tried again with what they are now."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from bic_lib.core.errors import NotAdmitted
from bic_lib.core.miscopied import miscopied
from bic_lib.credentials.references import References, Unresolved

Adapter = TypeVar("Adapter")
Values = tuple[str | None, ...]
"""What the references of one destination stand for."""


class Renewing(Generic[Adapter]):
    """Stands in for an adapter that is made from secrets, and passes every call on to it.

    A call that raises NotAdmitted is made again by an adapter with the secrets as they are now, once for each value that differs;
    that adapter stays. An iterator that a call returned is not begun again. `refused` is told the subject when none was accepted.
    """

    def __init__(
        self,
        subject: str,
        references: References,
        resolve: Callable[[References], Values],
        make: Callable[..., Adapter],
        refused: Callable[[str], None],
    ) -> None:
        self._subject, self._references, self._resolve, self._make = subject, references, resolve, make
        self._refused = refused
        self._values = resolve(references)
        self._adapter = make(*self._values)
        self._renewing = threading.Lock()

    def __getattr__(self, name: str) -> Any:  # whatever the adapter has
        attribute = getattr(self._adapter, name)
        if not callable(attribute):
            return attribute

        def call(*arguments: Any, **options: Any) -> Any:
            adapter = self._adapter
            try:
                return getattr(adapter, name)(*arguments, **options)
            except NotAdmitted as refusal:
                return self._again(refusal, adapter, name, arguments, options)

        return call

    def _again(
        self, refusal: NotAdmitted, refused: Adapter, name: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        with self._renewing:
            if self._adapter is not refused:  # another thread has been here
                return getattr(self._adapter, name)(*arguments, **options)
            tried = [self._values]
            for references in self._references.anew():
                with suppress(Unresolved, NotAdmitted):
                    values = self._resolve(references)
                    if values in tried:
                        continue
                    tried.append(values)
                    adapter = self._make(*values)
                    answer = getattr(adapter, name)(*arguments, **options)
                    self._values, self._adapter = values, adapter
                    return answer
        self._refused(self._subject)
        copied = (miscopied(value) for value in self._values if value)
        refusal.hint = next(
            (f"The value of its reference {wrong}: store it again without." for wrong in copied if wrong), refusal.hint
        )
        raise refusal
