import gc
import inspect
import subprocess
import sys

import pytest

from plantain.base import importing

USED = """
import sys
from plantain.base.importing import importing
with importing():
    import scipy.stats
    from diffusers.schedulers import scheduling_flow_match_euler_discrete as scheduling
before = "scipy.stats._stats_py" in sys.modules
print(before, scheduling.scipy.stats.beta.ppf(0.5, 1, 2), scheduling.scipy.stats is sys.modules["scipy.stats"])
"""


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A package that leaves a note when it is loaded."""
    (tmp_path / "slowly").mkdir()
    (tmp_path / "slowly/__init__.py").write_text("import sys\nsys.loaded = True\nanswer = 42\n")
    (tmp_path / "slowly/inner.py").write_text("from slowly import answer\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(importing, "_PUT_OFF", ("slowly",))
    monkeypatch.setattr(sys, "loaded", False, raising=False)
    yield
    for name in ("slowly", "slowly.inner"):
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
