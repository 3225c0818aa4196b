"""What every member needs, imported once by the server from which their processes are forked."""

import tensorboard.summary.writer.record_writer  # noqa: F401
import torch.utils.tensorboard  # noqa: F401

import aetrain.jobs
import aetrain.sweeps.report.plots
import aetrain.tasks.train  # noqa: F401
