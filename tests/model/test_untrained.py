import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from plantain.base.errors import InputError
from plantain.model.untrained import reinitialise, reinitialised_tensors, shuffle


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(1200, 1100)
        self.conv = nn.Conv2d(3, 8, 3)
        self.words = nn.Embedding(50, 40)
        self.norm = nn.LayerNorm(40)
        self.scale = nn.RMSNorm(40)
        self.tied = nn.Linear(40, 50, bias=False)
        self.tied.weight = self.words.weight


def small(seed: int, dtype: torch.dtype = torch.float32) -> Small:
    module = Small().to(dtype)
    reinitialise(module, seed)
    return module


def state(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.float().numpy() for name, value in module.state_dict().items()}


def test_values_follow_the_written_formula():
    module = small(7)
    key = np.frombuffer(hashlib.sha256(b"reinit\x007\x00wide.weight").digest()[:16], dtype="<u8")
    raw = np.random.Philox(key=key).random_raw(1200 * 1100 // 2).astype("<u8").view("<i4")
    expected = raw.astype(np.float64) / 2**31 / np.sqrt(1200)
    np.testing.assert_allclose(module.wide.weight.detach().numpy().ravel(), expected, rtol=2e-7)


def test_golden_bytes():
    data = b"".join(value.tobytes() for value in state(small(0)).values())
    assert hashlib.sha256(data).hexdigest() == "b0e6796762fe5ed7f4b2e8ac000f9c87f7a4e4dbd23b0896f91961aa8226136c"


def test_bounds_variance_and_constants():
    module = small(1)
    weight = module.wide.weight.detach().numpy()
    assert np.abs(weight).max() <= 1 / np.sqrt(1200)
    assert weight.std() == pytest.approx(1 / np.sqrt(3 * 1200), rel=0.01)
    assert np.abs(module.wide.bias.detach().numpy()).max() <= 1 / np.sqrt(1200)
    assert np.abs(module.conv.weight.detach().numpy()).max() <= 1 / np.sqrt(27)
    assert module.words.weight.detach().numpy().std() == pytest.approx(1, rel=0.05)
    assert torch.equal(module.norm.weight, torch.ones(40))
    assert torch.equal(module.norm.bias, torch.zeros(40))
    assert torch.equal(module.scale.weight, torch.ones(40))


def test_seed_name_and_block_give_different_values():
    first, other = state(small(0)), state(small(1))
    assert not np.array_equal(first["wide.weight"], other["wide.weight"])
    flat = first["wide.weight"].ravel()
    assert not np.array_equal(flat[:1000], flat[1 << 20 : (1 << 20) + 1000])


def test_the_same_draw_in_a_narrower_type_is_the_rounded_draw():
    wide, narrow = small(3), small(3, torch.bfloat16)
    assert torch.equal(wide.wide.weight.to(torch.bfloat16), narrow.wide.weight)


def test_thread_count_changes_no_byte():
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = state(small(5))
        torch.set_num_threads(3)
        three = state(small(5))
    finally:
        torch.set_num_threads(threads)
    assert all(np.array_equal(one[name], three[name]) for name in one)


def test_tensors_made_one_by_one_equal_those_in_the_module():
    with torch.device("meta"):
        empty = Small()
    made = {name: make() for name, make in reinitialised_tensors(empty, 4)}
    module = dict(small(4).named_parameters())
    assert made.keys() == module.keys()
    assert all(torch.equal(made[name], module[name]) for name in made)


def test_global_generators_are_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    module = Small()
    torch.manual_seed(0)
    reinitialise(module, 0)
    shuffle(module, 0)
    assert torch.equal(torch.rand(3), expected)


def test_unknown_layers_are_refused():
    module = nn.Module()
    module.gain = nn.Parameter(torch.ones(3))
    with pytest.raises(InputError, match="'gain'"):
        reinitialise(module, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shuffle_keeps_entries_and_moves_them(dtype):
    before = small(2, dtype)
    after = small(2, dtype)
    shuffle(after, 9)
    for name, value in before.named_parameters():
        moved = dict(after.named_parameters())[name]
        same = torch.equal(value, moved)
        assert same if value.dim() < 2 else not same
        assert torch.equal(value.flatten().sort().values, moved.flatten().sort().values)


def test_shuffle_is_uniform_over_places_and_repeats():
    counts = np.zeros((6, 6))
    for seed in range(600):
        module = nn.Linear(3, 2, bias=False)
        with torch.no_grad():
            module.weight.copy_(torch.arange(6.0).view(2, 3))
        shuffle(module, seed)
        counts[np.arange(6), module.weight.detach().numpy().astype(int).ravel()] += 1
    assert ((counts - 100) ** 2 / 100).sum() < 60  # chi-squared, 25 degrees of freedom
    first, second = small(2), small(2)
    shuffle(first, 9)
    shuffle(second, 9)
    assert torch.equal(first.wide.weight, second.wide.weight)


def test_shuffling_a_large_tensor_forgets_every_place():
    module = nn.Linear(400, 1000, bias=False)  # more entries than one bucket
    count = module.weight.numel()
    with torch.no_grad():
        module.weight.copy_(torch.arange(float(count)).view(1000, 400))
    shuffle(module, 3)
    values = module.weight.detach().numpy().ravel().astype(np.int64)
    assert np.array_equal(np.sort(values), np.arange(count))
    places = np.arange(count)
    assert abs(np.corrcoef(values, places)[0, 1]) < 5 / np.sqrt(count)
    assert np.abs(values - places).mean() == pytest.approx(count / 3, rel=0.01)
    cells = np.histogram2d(places, values, bins=20)[0]  # 1,000 expected in each of 400 cells
    assert ((cells - 1000) ** 2 / 1000).sum() < 361 + 5 * np.sqrt(2 * 361)
    fixed = (values == places).sum()
    assert fixed < 10  # Poisson with mean 1
