"""Keeps the ports that Beam opens in a submitting process on this machine.

Problem. With `--environment_type=LOOPBACK`, which Prism and a Flink of Beam's own are given, a runner asks this process for
workers, and with `--flink_submit_uber_jar` it takes artifacts: by gRPC ports on all interfaces, without a password or TLS.

Plan. Who connects does so by `localhost` anyway, so the servers are made to listen there. Beam has no option for it: the
address is a literal, and what makes the server is looked up in its module, where it is replaced.
"""

from typing import Any

__all__ = ["keep_workers_on_loopback"]

_EVERYWHERE = "[::]:0"
_HERE = "localhost:0"


def keep_workers_on_loopback() -> None:
    """From now on, the servers that Beam makes in this process open their ports on loopback only."""
    from apache_beam.runners.portability import abstract_job_service
    from apache_beam.runners.worker import worker_pool_main

    for module in (worker_pool_main, abstract_job_service):
        if not isinstance(module.grpc, _Grpc):
            module.grpc = _Grpc(module.grpc)


class _Grpc:
    """The module grpc, whose servers listen on loopback where they were told to listen everywhere."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def server(self, *arguments: Any, **options: Any) -> Any:
        made = self._module.server(*arguments, **options)
        listen = made.add_insecure_port
        made.add_insecure_port = lambda address: listen(_HERE if address == _EVERYWHERE else address)
        return made
