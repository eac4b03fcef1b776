"""The loss curve as a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tinygrad_like.io import atomic_write
from tinygrad_like.train.log import Record


def plot_losses(records: Sequence[Record], path: str | os.PathLike[str], title: str = "loss") -> bool:
    """Draw train and validation loss over the steps into a PNG file; False where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(7, 4), layout="constrained")  # no pyplot: its global state would touch the user's figures
    axes = figure.add_subplot(xlabel="step", ylabel="cross-entropy (nats)", title=title)
    axes.plot([r.step for r in records], [r.train_loss for r in records], label="train")
    judged = [(r.step, r.validation_loss) for r in records if r.validation_loss is not None]
    if judged:
        axes.plot(*zip(*judged, strict=True), label="validation")
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_write(path) as file:
        FigureCanvasAgg(figure).print_png(file)
    return True
