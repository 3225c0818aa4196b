"""logger=mlflow. Through MLflow's client alone, which has no state in the process: a stack has many runs at once."""

from __future__ import annotations

import io
import logging
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from aetrain.loggers.sent import Sent

# The client's own patience is minutes; a folder as a store must be allowed since MLflow 3.7; and what is not asked for
# is not sent. Whoever has set one of them has decided.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
ENDED = {"done": "FINISHED", "interrupted": "KILLED"}
LONGEST = 6000  # characters of a parameter's value
AT_ONCE = 100  # parameters in a request


class MLflow:
    """A run in MLflow: scalars as metrics, pictures as images, the configuration as parameters."""

    def __init__(self, config: Any, sent: Sent, name: str, values: Mapping[str, Any]):
        """config: of the logger. values: the run's configuration, flat."""
        for key, value in ENVIRONMENT.items():
            os.environ.setdefault(key, value)
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # it tells of every retry
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self._sent, self._metric = sent, Metric
        self._client = MlflowClient(tracking_uri=_uri(config.tracking_uri))
        known = _parameters(self._client, sent.id)
        if known is None:
            run = self._client.create_run(_experiment(self._client, config.experiment), run_name=name)
            sent.begin(run.info.run_id)
        else:
            self._client.update_run(sent.id, status="RUNNING")
        self._id, known = sent.id, known or {}
        texts = {key: str(value)[:LONGEST] for key, value in values.items()}
        new = [Param(key, text) for key, text in texts.items() if key not in known]
        for start in range(0, len(new), AT_ONCE):
            self._client.log_batch(self._id, params=new[start : start + AT_ONCE], synchronous=True)
        for key, text in texts.items():
            if known.get(key, text) != text:  # changed on resuming, and a parameter is for ever
                self._client.set_tag(self._id, f"changed.{key}", text)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if self._sent.has(first := next(iter(values)), step):
            return
        now = time.time_ns() // 1_000_000
        metrics = [self._metric(tag, float(value), now, step) for tag, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics, synchronous=True)
        self._sent.add(first, step)

    def image(self, step: int, tag: str, png: bytes) -> None:
        if not self._sent.has(tag, step):
            with Image.open(io.BytesIO(png)) as image:
                self._client.log_image(self._id, image, key=tag, step=step, synchronous=True)
            self._sent.add(tag, step)

    def finish(self, status: str, metrics: Mapping[str, float]) -> None:
        self._client.set_tag(self._id, "status", status)
        self._client.set_terminated(self._id, ENDED.get(status, "FAILED"))

    def close(self) -> None:
        """Nothing of it stays open."""


def _uri(given: str | None) -> str:
    """A folder as MLflow takes it, whatever its name; an address as it is."""
    uri = given or os.environ.get("MLFLOW_TRACKING_URI") or "mlruns"
    return uri if re.match(r"\w[\w+.-]*:", uri) or uri == "databricks" else Path(uri).expanduser().resolve().as_uri()


def _parameters(client: Any, id: str | None) -> Mapping[str, str] | None:
    """Of the run with this id; None where there is no such run."""
    from mlflow.exceptions import MlflowException

    try:
        return None if id is None else client.get_run(id).data.params
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _experiment(client: Any, name: str) -> str:
    """The experiment's id. It is made where there is none: of the runs of a sweep, which begin at once, by one."""
    from mlflow.exceptions import MlflowException

    if (found := client.get_experiment_by_name(name)) is None:
        try:
            return client.create_experiment(name)
        except MlflowException:
            if (found := client.get_experiment_by_name(name)) is None:
                raise
    return found.experiment_id
