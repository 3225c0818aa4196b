"""What makes a step cheaper without touching it: torch.compile around its model, a CUDA graph around all of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from aetrain.errors import RunFailed
from aetrain.training.batches import Batches
from aetrain.training.step import Step

WARM_UP = 4  # steps before capture: lazily made state and workspaces must be there first


def compiled(model: nn.Module) -> nn.Module:
    """The model with its forward and backward pass compiled at the first step, for the step alone: evaluation keeps
    the model itself. It draws the random numbers that the model would draw, so the two agree to rounding.
    """
    return torch.compile(model, dynamic=False, options={"fallback_random": True})


def eager(step: Step, batches: Batches) -> Callable[[int], dict[str, Tensor]]:
    """run(n): the step on the n-th batch."""
    return lambda number: step(*batches.get(number))


class Graphed:
    """run(n) as one CUDA graph: gather, forward, backward and update are captured once and replayed, which costs one
    launch instead of about a hundred. Never run on a GPU so far: off by default.

    Everything that changes between steps lies in tensors that keep their place: the batch's indices, copied in here;
    the learning rate and scheduled hparams, written in place by the scheduler; the optimizer's and the latch's state.
    The steps before the capture are training steps like any other. The returned tensors are overwritten by the next
    call. Raises RunFailed where the step cannot be captured: torch's allocator cannot be repaired after that.
    """

    def __init__(self, step: Step, batches: Batches):
        self._step, self._batches = step, batches
        self._index = batches.index(0).clone()  # (B,)
        self._side = torch.cuda.Stream(self._index.device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._means: dict[str, Tensor] = {}
        self._warm_up = WARM_UP  # eager steps that are left before the capture

    def __call__(self, number: int) -> dict[str, Tensor]:
        self._index.copy_(self._batches.index(number))
        if self._warm_up:
            self._warm_up -= 1
            return self._on_a_stream_of_its_own()
        if self._graph is None:
            self._graph = self._captured()
        self._graph.replay()
        return self._means

    def _on_a_stream_of_its_own(self) -> dict[str, Tensor]:
        """As torch asks: the default stream cannot be captured, and what is allocated lazily should belong to the one
        that will be."""
        current = torch.cuda.current_stream(self._index.device)
        self._side.wait_stream(current)
        with torch.cuda.stream(self._side):
            means = self._on_index()
        current.wait_stream(self._side)
        return means

    def _on_index(self) -> dict[str, Tensor]:
        return self._step(*self._batches.gather(self._index))

    def _captured(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._side):
                self._means = self._on_index()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise RunFailed(
                f"trainer.cuda_graph=true: this step cannot be captured ({reason}); give trainer.cuda_graph=false"
            ) from error
        return graph
