"""Every private part of Hydra that is used here, with the reason. Hydra is pinned below 1.4 for their sake."""

# One search path for a run, a sweep, --help and --cfg: hydra.compose() knows neither --config-dir nor --config-path.
from hydra._internal.callbacks import Callbacks  # run_job asks for them
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.hydra import Hydra  # a sweep, --cfg and --info without Hydra's own argument parser
from hydra._internal.utils import create_config_search_path, get_args_parser  # the latter for --hydra-help alone
from hydra.core.config_store import ConfigStore

# Whenever it composes, Hydra copies its sources, and with them the one store of all schemas, which took a sixth of the
# time. What it reads from there it copies once more, so that nothing changes the store.
ConfigStore.__deepcopy__ = lambda self, memo: self


class ConfigLoader(ConfigLoaderImpl):
    """Hydra's; a glob over a group's options, as in model=glob(*), leaves out the files that these share."""

    def get_group_options(self, *args, **options) -> list[str]:
        return [name for name in super().get_group_options(*args, **options) if not name.startswith("_")]


apply_overrides = ConfigLoaderImpl._apply_overrides_to_config  # to what is composed already


def overrides_dirname(overrides, config) -> str:
    """Hydra's hydra.job.override_dirname. config: hydra.job.config."""
    how = config.override_dirname
    return get_overrides_dirname(overrides, list(how.exclude_keys), how.item_sep, how.kv_sep)


__all__ = [
    "Callbacks",
    "ConfigLoader",
    "Hydra",
    "apply_overrides",
    "create_config_search_path",
    "get_args_parser",
    "overrides_dirname",
]
