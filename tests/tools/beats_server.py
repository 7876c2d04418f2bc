"""A Beats server as a process of its own, which takes each batch and acknowledges it at once.

usage: beats_server.py PORT [OPTION=VALUE ...]   (options of BeatsOptions; a port of 0 for any)

Prints its port; ends when its standard input does, and prints how many events it took.
"""

import json
import sys
import threading

from penstock.io.beats import BeatsOptions
from penstock.io.beats.server.beats_server import BeatsServer


def main() -> None:
    given = {name: json.loads(value) for name, value in (word.split("=", 1) for word in sys.argv[2:])}
    server = BeatsServer("process", BeatsOptions(port=int(sys.argv[1]), **given))
    threading.Thread(target=lambda: (sys.stdin.read(), server.stop()), daemon=True).start()
    print(server.address[1], flush=True)
    events = 0
    while not server.drained:
        batch = server.take(10)
        if batch is not None:
            events += len(batch.events)
            server.acknowledge(batch.receipt.tokens)
    server.close()
    print(events, flush=True)


if __name__ == "__main__":
    main()
