"""A block of a test, as a context manager for both kinds of code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any

from asgiref.sync import sync_to_async


class Block(ABC):
    """A context manager, and the same one in asynchronous tests.

    There the block is entered and left in the thread that Django's ORM calls run in, so that it is
    about their connection. Django manual: "Asynchronous support", ``sync_to_async``.
    """

    @abstractmethod
    def __enter__(self) -> Any: ...

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None: ...

    async def __aenter__(self) -> Any:
        return await sync_to_async(self.__enter__)()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await sync_to_async(self.__exit__)(kind, error, trace)
