"""Large libraries imported for less: a third of what torch, transformers and diffusers cost a stage serves no stage.

Nothing else changes: a module that is put off loads when it is first used.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

_PUT_OFF: Final = ("scipy.stats", "boto3")
"""Imported whole for uses that no stage has: beta noise schedules (diffusers), cloud training (accelerate)."""


@contextmanager
def importing() -> Iterator[None]:
    """Import inside of it: the collector stays away from the new objects, and what nobody uses is put off.

    Modules live as long as the process: looking through them again and again, and once more as it ends, frees nothing.
    """
    for name in _PUT_OFF:
        _put_off(name)
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()


def _put_off(name: str) -> None:
    spec = None if name in sys.modules else find_spec(name)
    if spec is not None:
        sys.modules[name] = _Later(spec)


class _Later(ModuleType):
    """Stands for a module until something is asked of it.

    The standard library's own takes for a use that `inspect` asks every module where its file is, as torch makes it do.
    """

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__, self.__file__ = spec, spec.origin

    def __getattr__(self, wanted: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), wanted)
