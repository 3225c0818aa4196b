"""One member of a sweep while it is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hydra.core.utils import JobReturn
from omegaconf import DictConfig

from aetrain.console import number
from aetrain.device import cuda_device_count
from aetrain.sweeps.members import Member
from aetrain.sweeps.report.read import read


@dataclass
class Launched:
    """member: None for a trial that was refused. label: for log lines about it."""

    config: DictConfig  # Hydra's, with its own part
    member: Member | None
    label: str
    returned: JobReturn | None = None

    @property
    def sweep(self) -> Path:
        return Path(str(self.config.hydra.sweep.dir))

    @property
    def folder(self) -> Path:
        return self.sweep / self.member.folder

    @property
    def device(self) -> str:
        """cpu or cuda."""
        name = self.member.config.device.name
        return "cpu" if name == "cpu" or (name == "auto" and not cuda_device_count()) else "cuda"


def ended(launched: Launched) -> str:
    """One line about a member that has ended."""
    run = read(launched.sweep, launched.member.folder)
    tags = ("test/nelbo", "test/recon", "val/nelbo", "val/recon")
    main = next((f"  {tag} {number(value)}" for tag in tags if (value := run.metrics.get(tag)) is not None), "")
    seconds = "" if run.seconds is None else f"  {run.seconds:,.0f} s"
    return f"{launched.label}  {run.status}{main}{seconds}"
