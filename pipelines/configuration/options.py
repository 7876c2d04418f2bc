"""`options` declares the option that every job has because it may have a configuration file."""

import dataclasses

from penstock.io.options import option

__all__ = ["ConfigOptions"]


@dataclasses.dataclass(frozen=True)
class ConfigOptions:
    """Where further options are read from."""

    config: str = option(
        "",
        help="A YAML file with options (docs/configuration.md); of several jobs in it, FILE.yaml#NAME names one. The "
        "command line wins over the environment (PENSTOCK_NAME), and that over the file.",
    )
