"""Where a training run of the embedded model is written: the terminal, a log file, and MLflow when asked."""

import time
from pathlib import Path
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Log:
    """A progress bar, lines in ``<out>/<name>.log``, and metrics and pictures in an MLflow run if ``uri`` is given."""

    def __init__(self, out: Path, name: str, uri: str | None, settings: dict[str, str | int | float]) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._file = (out / f"{name}.log").open("a", encoding="utf-8")
        self._bar = Progress(TextColumn(name), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
        self._task = self._bar.add_task(name, total=1.0, note="")
        self._mlflow = _start(uri, name, settings) if uri else None
        self._began = time.monotonic()

    def __enter__(self) -> "Log":
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()
        self._file.close()
        if self._mlflow is not None:
            self._mlflow.end_run("FAILED" if kind else "FINISHED")

    def metrics(self, step: int, done: float, values: dict[str, float]) -> None:
        """Record ``values`` at ``step``, when ``done`` (0 to 1) of the phase has passed."""
        note = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self._file.write(f"{time.monotonic() - self._began:.0f} s  step {step}  {note}\n")
        self._file.flush()
        self._bar.update(self._task, completed=done, note=f"step {step}  {note}")
        if self._mlflow is not None:
            self._mlflow.log_metrics(values, step=step)

    def picture(self, path: Path) -> None:
        """Keep the picture at ``path`` with the run."""
        if self._mlflow is not None:
            self._mlflow.log_artifact(str(path))


def _start(uri: str, name: str, settings: dict[str, str | int | float]):  # type: ignore[no-untyped-def]
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("plantain-tiny")
    mlflow.start_run(run_name=name)
    mlflow.log_params(settings)
    return mlflow
