"""Keeps the ports of Beam's own workers on this machine.

Problem. With several worker processes the FnApiRunner opens gRPC ports for them, on all interfaces, without
authentication or TLS. Whoever connects as a worker is handed the pipeline, with the options pickled in it.

Plan. Its workers connect to `localhost` anyway, so the servers are made to listen there. Beam has no option for it:
the address is a literal, and what makes the servers is looked up in two modules, where it is replaced.
tests/integration/test_listening.py looks at the ports of a running job.
"""

from typing import Any

__all__ = ["keep_workers_on_loopback"]

_EVERYWHERE = "[::]:0"
_HERE = "localhost:0"


def keep_workers_on_loopback() -> None:
    """From now on, runners that are made in this process open their ports on loopback only."""
    from apache_beam.runners.portability import local_job_service
    from apache_beam.runners.portability.fn_api_runner import worker_handlers

    for module in (worker_handlers, local_job_service):
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
