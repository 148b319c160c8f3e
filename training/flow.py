"""Flow matching for the embedded transformer."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from plantain.model.tiny import architecture
from plantain.model.untrained import reinitialise
from training import classroom
from training.batches import Batch, Sentences, changes, inventions, material
from training.lessons import Operation
from training.log import Log
from training.sheet import Painter

EPOCH = 400
"""Steps that draw from the same rooms."""

SHEET = 500
"""Steps between sample sheets."""

_EXACT, _SHIFT = 0.35, 4.0
"""Share of times that are exactly 1, and how far the others are shifted towards 1."""


def velocity(transformer: Flux2Transformer2DModel, noisy: Tensor, batch: Batch, time_: Tensor) -> Tensor:
    """The transformer's answer, with the token layout and positions of the pipeline."""
    text_ids = torch.zeros(batch.text.shape[1], 4, dtype=torch.long)
    text_ids[:, 3] = torch.arange(batch.first, batch.first + batch.text.shape[1])
    square = [
        torch.cartesian_prod(torch.tensor([t]), torch.arange(4), torch.arange(4), torch.arange(1)) for t in (0, 10)
    ]
    hidden = noisy if batch.reference is None else torch.cat([noisy, batch.reference], dim=1)
    answer = transformer(
        hidden_states=hidden,
        timestep=time_,
        guidance=None,
        encoder_hidden_states=batch.text,
        txt_ids=text_ids,
        img_ids=square[0] if batch.reference is None else torch.cat(square),
        return_dict=False,
    )[0]
    return answer[:, : noisy.shape[1]]


def flow_loss(transformer: Flux2Transformer2DModel, batch: Batch, rng: np.random.Generator) -> Tensor:
    """Squared error of the velocity (items,), at times near 1 and exactly 1."""
    even = rng.random(len(batch.target))
    times = _SHIFT * even / (1 + (_SHIFT - 1) * even)
    times[rng.random(len(batch.target)) < _EXACT] = 1.0
    time_ = torch.tensor(times, dtype=torch.float32)
    noise = torch.from_numpy(rng.standard_normal(batch.target.shape, dtype=np.float32))
    mix = time_[:, None, None]
    answer = velocity(transformer, (1 - mix) * batch.target + mix * noise, batch, time_)
    return (answer - (noise - batch.target)).square().mean(dim=(1, 2))


class Learner:
    """A transformer, its optimiser, and where training stands."""

    def __init__(self, path: Path, seed: int, top: float, start: Path | None = None) -> None:
        self.path, self.top, self.step, self.spent = path, top, 0, 0.0
        self.transformer = architecture.new_transformer()
        reinitialise(self.transformer, seed)
        if start is not None:
            self.transformer.load_state_dict(load_file(start))
        self.optimiser = torch.optim.AdamW(
            self.transformer.parameters(), top, betas=(0.9, 0.95), weight_decay=0.01, fused=True
        )
        if path.exists():
            self._restore(load_file(path))

    def _restore(self, saved: dict[str, Tensor]) -> None:
        self.step, self.spent = int(saved["step"]), float(saved["spent"])
        weights = {name[2:]: value for name, value in saved.items() if name.startswith("w.")}
        self.transformer.load_state_dict(weights)
        for name, parameter in self.transformer.named_parameters():
            moments = {"exp_avg": saved[f"m.{name}"], "exp_avg_sq": saved[f"v.{name}"]}
            self.optimiser.state[parameter] = {"step": torch.tensor(float(self.step)), **moments}

    def save(self) -> None:
        """Write the checkpoint: weights, moments, steps and seconds."""
        saved = {"step": torch.tensor(self.step), "spent": torch.tensor(self.spent)}
        for name, parameter in self.transformer.named_parameters():
            state = self.optimiser.state[parameter]
            saved |= {f"w.{name}": parameter.detach(), f"m.{name}": state["exp_avg"], f"v.{name}": state["exp_avg_sq"]}
        temporary = self.path.with_suffix(".tmp")
        save_file(saved, temporary)
        temporary.replace(self.path)

    def learn(self, batches: list[Batch], rng: np.random.Generator, done: float) -> list[float]:
        """One step on all ``batches``; the mean loss of each."""
        late = max(0.0, (done - 0.45) / 0.55)
        self.optimiser.param_groups[0]["lr"] = self.top * min(1.0, (self.step + 1) / 100) * (1 - 0.98 * late)
        items, losses = sum(len(batch.target) for batch in batches), []
        for batch in batches:
            loss = flow_loss(self.transformer, batch, rng)
            (loss.sum() / items).backward()
            losses.append(float(loss.detach().mean()))
        nn.utils.clip_grad_norm_(self.transformer.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.step += 1
        return losses


@dataclass(frozen=True)
class Plan:
    """What is taught, from which seed, and for how long."""

    operation: Operation
    seed: int
    minutes: float
    """Wall time, counted over restarts."""
    short: float
    """Share of it that is spent on short steps."""


def train(
    vae: AutoencoderKLFlux2, known: Sentences, learner: Learner, log: Log, plan: Plan, *, painter: Painter
) -> None:
    """Train until the plan's time is over, from wherever ``learner`` stands."""
    given, epoch, began, before = None, -1, time.monotonic(), learner.spent
    done = before / (60 * plan.minutes)
    while done < 1.0:
        if learner.step // EPOCH != epoch:
            epoch = learner.step // EPOCH
            given = material(vae, plan.operation, plan.seed, epoch)
        assert given is not None
        rng, full = classroom.generator(plan.seed, 7, learner.step), done >= plan.short or learner.step % 16 == 15
        losses = learner.learn([changes(known, given, rng, full), inventions(known, given, rng, full)], rng, done)
        learner.spent = before + time.monotonic() - began
        done = learner.spent / (60 * plan.minutes)
        if learner.step % 25 == 0 or done >= 1.0:
            log.metrics(learner.step, done, {"with_reference": losses[0], "from_text": losses[1]})
        if learner.step % 100 == 0 or done >= 1.0:
            learner.save()
        if learner.step % SHEET == 0 or done >= 1.0:
            log.picture(painter.paint(learner.transformer, learner.step))
