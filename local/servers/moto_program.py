"""`moto_program` serves moto on 127.0.0.1 until it is ended: `python -P moto_program.py [PORT]`.

Its own `moto_server` logs each request, and a Kinesis reader polls several times a second; this one prints
its address, which port 0 leaves to the system, and nothing more.

DynamoDB's conditional writes are atomic. moto looks at the condition and writes without a lock, so that of two workers on
a busy machine both may win a lease; here its DynamoDB serves one request at a time.
"""

import os
import sys
import threading
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server


class _Handler(MotoRequestHandler):
    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Nothing: see above."""


class _OneWriteAtATime:
    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_"):
            return self._application(environ, start_response)  # type: ignore[no-any-return]
        with self._lock:
            return self._application(environ, start_response)  # type: ignore[no-any-return]


def main(port: int) -> None:
    """Serves for ever; port 0 is any free one."""
    application = _OneWriteAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=_Handler)
    os.environ["MOTO_PORT"] = str(server.server_port)
    print(f"serving at http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
