"""Options of the command line that say where bulk work runs."""

import dataclasses

import tyro

from keras_bld.base.bulk import Engine, open_engine


@dataclasses.dataclass(frozen=True)
class EngineOptions:
    """Where bulk work runs.

    Args:
        engine: local runs in this process; ray (extra `ray`) on the workers of a Ray cluster, with
            the same result.
        ray_address: of the cluster, such as 10.0.0.1:6379; by default RAY_ADDRESS, or a Ray of
            this machine alone, started for the command.
        num_workers: processes of Ray; by default one for each GPU, or for each machine without.
    """

    engine: Engine = "local"
    ray_address: str | None = None
    num_workers: int | None = None

    def open(self):
        """The engine, as a context manager; see `open_engine`."""
        return open_engine(self.engine, self.ray_address, self.num_workers)


# As a parameter of a command: --engine, not --bulk.engine.
EngineArguments = tyro.conf.OmitArgPrefixes[EngineOptions]
