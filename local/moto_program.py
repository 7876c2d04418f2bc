"""moto as a program: `python -P moto_program.py [PORT]` serves on 127.0.0.1 until it is ended.

Its own `moto_server` logs each request, and a Kinesis reader polls several times a second; this one prints
its address, which port 0 leaves to the system, and nothing more.
"""

import os
import sys
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


def main(port: int) -> None:
    """Serves for ever; port 0 is any free one."""
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=_Handler)
    os.environ["MOTO_PORT"] = str(server.server_port)
    print(f"serving at http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
