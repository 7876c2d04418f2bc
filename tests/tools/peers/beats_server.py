"""A Beats server as a process of its own, which takes each batch and acknowledges it, after a pause if asked to.

usage: beats_server.py PORT [OPTION=VALUE ...]   (options of BeatsOptions; a port of 0 for any; `pause_s` before each batch)

Prints its port; answers each line of its standard input with its resident memory in bytes; ends when that does, and prints
how many events it took. Of those that begin with a field `honest` (CLIENT-WINDOW-INDEX) it also prints, as JSON, how many
different ones it took of each window, and how often one came again.
"""

import json
import resource
import sys
import threading
import time
from pathlib import Path

from penstock.io.beats import BeatsOptions
from penstock.io.beats.server.beats_server import BeatsServer
from penstock.io.garbage_collector import calm_garbage_collector


def answer(server: BeatsServer) -> None:
    for _ in sys.stdin:
        print(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize(), flush=True)
    server.stop()


def main() -> None:
    given = {name: json.loads(value) for name, value in (word.split("=", 1) for word in sys.argv[2:])}
    pause_s = given.pop("pause_s", 0.0)
    calm_garbage_collector()
    server = BeatsServer("process", BeatsOptions(port=int(sys.argv[1]), **given))
    threading.Thread(target=answer, args=(server,), daemon=True).start()
    print(server.address[1], flush=True)
    events, repeated = 0, 0
    windows: dict[str, int] = {}  # a bit per event: what is remembered must not look like a leak
    while not server.drained:
        batch = server.take(10)
        if batch is None:
            continue
        time.sleep(pause_s)
        events += len(batch.events)
        for event in batch.events:
            if event.data.startswith(b'{"honest"'):
                window, _, index = json.loads(event.data)["honest"].rpartition("-")
                bits, bit = windows.get(window, 0), 1 << int(index)
                repeated += bool(bits & bit)
                windows[window] = bits | bit
        server.acknowledge(batch.receipt.tokens)
    server.close()
    honest = {window: bits.bit_count() for window, bits in windows.items()}
    print(events, json.dumps({"windows": honest, "repeated": repeated}) if honest else "", flush=True)


if __name__ == "__main__":
    main()
