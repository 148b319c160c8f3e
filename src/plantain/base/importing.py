"""Large libraries imported for less: nearly half of what torch, transformers and diffusers cost serves no stage.

Nothing else changes: a module that is put off loads when it is first used.
"""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from functools import partial, wraps
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final


class Lent(Enum):
    """What an importer does with a function that it takes out of a module by name, or uses while it is imported."""

    call = "call"
    """Calls it, if ever, much later: that loads the module."""
    mark = "mark"
    """Marks classes and functions with it: they are marked once the module loads."""
    wrap = "wrap"
    """Keeps functions from the module by decorating them with it: until it loads there is nothing to be kept from."""
    type = "type"
    """Asks whether something is of this class, which nothing is that was made before the module loads."""
    part = "part"
    """Takes it for a module inside, which is put off too."""


_PUT_OFF: Final[Mapping[str, Mapping[str, Lent]]] = {
    "boto3": {},
    "scipy.integrate": {},
    "scipy.stats": {},
    "scipy.optimize": {"linear_sum_assignment": Lent.call},
    "torch._dynamo._trace_wrapped_higher_order_op": {"TransformGetItemToIndex": Lent.call},
    "torch._dynamo.eval_frame": {"OptimizedModule": Lent.type},
    "torch._dynamo": {
        "allow_in_graph": Lent.mark,
        "assume_constant_result": Lent.mark,
        "disable": Lent.wrap,
        "eval_frame": Lent.part,
    },
}
"""Imported whole for uses that no stage has: cloud training (accelerate), schedulers of other models (diffusers),
losses of detection (transformers), a compiler where nothing is compiled (both)."""


@contextmanager
def importing() -> Iterator[None]:
    """Import inside of it: the collector stays away from the new objects, and what nobody uses is put off.

    Modules live as long as the process: looking through them again and again, and once more as it ends, frees nothing.
    """
    for name, lent in _PUT_OFF.items():
        _put_off(name, lent)
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()


def _put_off(name: str, lent: Mapping[str, Lent]) -> None:
    place = None if name in sys.modules else _place(name)
    if place is not None:
        sys.modules[name] = _Later(ModuleSpec(name, None, origin=str(place)), lent)


def _place(name: str) -> Path | None:
    """The file of an installed module, found without loading the packages around it."""
    package, *inner = name.split(".")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    place = Path(spec.submodule_search_locations[0], *inner)
    return next((one for one in (place / "__init__.py", place.with_suffix(".py")) if one.is_file()), None)


class _Later(ModuleType):
    """Stands for a module until something is asked of it.

    The standard library's own takes for a use that `inspect` asks every module where its file is, as torch makes it do.
    """

    def __init__(self, spec: ModuleSpec, lent: Mapping[str, Lent]) -> None:
        super().__init__(spec.name)
        self.__spec__, self.__file__ = spec, spec.origin
        self._marked: list[tuple[str, object]] = []
        for wanted, way in lent.items():
            setattr(self, wanted, self._lent(wanted, way))

    def __getattr__(self, wanted: str) -> Any:
        # `from package import name` asks too, and finds what is lent; only the import of a part needs the package.
        if wanted == "__path__" and sys._getframe(1).f_code.co_name != "_find_and_load_unlocked":
            raise AttributeError(wanted)
        return getattr(self._load(), wanted)

    def _lent(self, wanted: str, way: Lent) -> Any:
        if way is Lent.type:
            return type(wanted, (), {})
        if way is Lent.part:
            return sys.modules.get(f"{self.__name__}.{wanted}")
        ways: dict[Lent, Callable[..., Any]] = {Lent.call: self._call, Lent.mark: self._mark, Lent.wrap: self._wrap}
        return partial(ways[way], wanted)

    def _call(self, wanted: str, *arguments: Any, **named: Any) -> Any:
        return getattr(self._load(), wanted)(*arguments, **named)

    def _mark(self, wanted: str, given: Any) -> Any:
        if sys.modules.get(self.__name__) is not self:
            return self._call(wanted, given)
        self._marked.append((wanted, given))
        return given

    def _wrap(self, wanted: str, given: Any = None, *arguments: Any, **named: Any) -> Any:
        if given is None:
            return lambda function: self._wrap(wanted, function, *arguments, **named)

        @wraps(given)
        def wrapped(*inner: Any, **others: Any) -> Any:
            if sys.modules.get(self.__name__) is self:
                return given(*inner, **others)
            return self._call(wanted, given, *arguments, **named)(*inner, **others)

        return wrapped

    def _load(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            # With all that is put off inside of it: the module itself must find the true ones.
            for name, one in [*sys.modules.items()]:
                if isinstance(one, _Later) and f"{name}.".startswith(f"{self.__name__}."):
                    del sys.modules[name]
        module = import_module(self.__name__)
        while self._marked:
            wanted, given = self._marked.pop()
            getattr(module, wanted)(given)
        return module
