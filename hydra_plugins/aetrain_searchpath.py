"""The defaults of installed packages on Hydra's search path, behind ours: see aetrain/config/packages.py.

In a namespace package of this name because Hydra takes plugins from nowhere else.
"""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class AetrainSearchPath(SearchPathPlugin):
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        from aetrain.config.packages import PROVIDER, conf_folders

        ours, *theirs = conf_folders()
        if any(element.path.removeprefix("file://") == str(ours) for element in search_path.get_path()):
            for folder in theirs:  # and not in another application of Hydra's that is installed beside
                search_path.append(PROVIDER, f"file://{folder}")
