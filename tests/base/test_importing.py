import gc
import inspect
import subprocess
import sys

import pytest

from plantain.base import importing
from plantain.base.importing import Lent

USED = """
import sys
from plantain.base.importing import importing
with importing():
    import scipy.stats
    from diffusers.schedulers import scheduling_flow_match_euler_discrete as scheduling
before = "scipy.stats._stats_py" in sys.modules
print(before, scheduling.scipy.stats.beta.ppf(0.5, 1, 2), scheduling.scipy.stats is sys.modules["scipy.stats"])
"""


COMPILED = """
import sys
from plantain.base.importing import importing
with importing():
    import torch, diffusers.models.transformers.transformer_flux2
print("torch._dynamo.utils" in sys.modules, "scipy.optimize._optimize" in sys.modules)
from transformers.loss.loss_for_object_detection import linear_sum_assignment
print(linear_sum_assignment([[2.0, 1.0], [1.0, 2.0]])[1].tolist())
compiled = torch.compile(torch.nn.Linear(2, 3), backend="eager")
print(compiled(torch.ones(1, 2)).shape, isinstance(compiled, torch._dynamo.eval_frame.OptimizedModule))
from torch._dynamo import trace_rules
print(id(diffusers.models.attention.BasicTransformerBlock) in trace_rules._allowed_callable_ids.function_ids)
"""
"""The compiler, put off, is whole once it is used, and knows the classes that were marked for it before."""

SLOWLY = """
import sys
sys.loaded = True
answer, marked = 42, []
from slowly.parts import Kind
def mark(given):
    marked.append(given)
    return given
def wrap(function, by=1):
    return lambda *arguments: by * function(*arguments)
"""


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A package that leaves a note when it is loaded."""
    (tmp_path / "slowly").mkdir()
    (tmp_path / "slowly/__init__.py").write_text(SLOWLY)
    (tmp_path / "slowly/inner.py").write_text("from slowly import answer\n")
    (tmp_path / "slowly/parts.py").write_text("class Kind:\n    true = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    lent = {"mark": Lent.mark, "wrap": Lent.wrap, "parts": Lent.part}
    monkeypatch.setattr(importing, "_PUT_OFF", {"slowly.parts": {"Kind": Lent.type}, "slowly": lent})
    monkeypatch.setattr(sys, "loaded", False, raising=False)
    yield
    for name in ("slowly", "slowly.inner", "slowly.parts"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("use", ["slowly.answer", "__import__('slowly.inner').inner.answer"])
def test_a_module_that_is_put_off_loads_with_its_first_use(slow, use):
    with importing.importing():
        import slowly
    inspect.getmodule(slow)  # asks every module where its file is
    assert not sys.loaded
    assert eval(use, {"slowly": slowly}) == 42
    assert sys.loaded
    assert sys.modules["slowly"].__file__ == slowly.__file__


def test_what_is_lent_serves_until_the_module_loads(slow):
    with importing.importing():
        import slowly
        from slowly import mark, parts, wrap

    assert mark("early") == "early"
    assert not isinstance(3, parts.Kind)
    tripled, plain = wrap(by=3)(len), wrap(len)
    assert (tripled("ab"), plain("ab"), sys.loaded) == (2, 2, False)
    assert slowly.answer == 42
    assert sys.modules["slowly"].marked == ["early"]
    assert (tripled("ab"), plain("ab"), mark("late")) == (6, 2, "late")
    assert sys.modules["slowly"].marked == ["early", "late"]
    assert sys.modules["slowly"].Kind.true
    assert slowly.Kind is sys.modules["slowly.parts"].Kind


def test_what_is_lent_to_be_called_loads_the_module(slow, monkeypatch):
    monkeypatch.setattr(importing, "_PUT_OFF", {"slowly": {"wrap": Lent.call}})
    with importing.importing():
        from slowly import wrap
    assert not sys.loaded
    assert wrap(len, by=2)("ab") == 4
    assert sys.loaded


def test_the_collector_goes_on_as_it_was(slow):
    for was in (True, False):
        (gc.enable if was else gc.disable)()
        try:
            with pytest.raises(ZeroDivisionError), importing.importing():
                assert not gc.isenabled()
                raise ZeroDivisionError
            assert gc.isenabled() == was
        finally:
            gc.enable()
            gc.unfreeze()


@pytest.mark.long
def test_what_diffusers_puts_off_is_scipy_when_it_is_used():
    done = subprocess.run([sys.executable, "-c", USED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "0.2928932188134525", "True"]


@pytest.mark.long
def test_a_compiler_that_was_put_off_is_whole_when_it_is_used():
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False False", "[1, 0]", "torch.Size([1, 3]) True", "True"]
