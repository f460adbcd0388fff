"""A stage as a decorator: every call of the function is one entering of it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .stage import Stage

Function = TypeVar("Function", bound=Callable[..., Any])


def spanning(function: Function, stage: Callable[[], Stage]) -> Function:
    """The function with a new stage around each call; a generator's stage lasts from its first item to its last."""
    if inspect.iscoroutinefunction(function):
        wrapper: Any = _coroutine(function, stage)
    elif inspect.isasyncgenfunction(function):
        wrapper = _async_generator(function, stage)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator(function, stage)
    else:
        wrapper = _call(function, stage)
    return functools.wraps(function)(wrapper)  # type: ignore[return-value]


def _call(function: Callable[..., Any], stage: Callable[[], Stage]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        with stage():
            return function(*args, **options)

    return call


def _coroutine(function: Callable[..., Any], stage: Callable[[], Stage]) -> Callable[..., Any]:
    async def call(*args: Any, **options: Any) -> Any:
        async with stage():
            return await function(*args, **options)

    return call


def _generator(function: Callable[..., Any], stage: Callable[[], Stage]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Generator[Any, Any, Any]:
        with stage():
            return (yield from function(*args, **options))

    return call


def _async_generator(function: Callable[..., Any], stage: Callable[[], Stage]) -> Callable[..., Any]:
    async def call(*args: Any, **options: Any) -> AsyncIterator[Any]:
        async with stage():
            async for item in function(*args, **options):
                yield item

    return call
