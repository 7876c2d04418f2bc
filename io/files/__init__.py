"""`io/files` writes events to files and to the standard output, and reads lines of files and of the standard input.

- `sink`: `WriteToFiles`, `WriteToStdout`, `WriteNowhere`.    - `_text`: an event as text (pure).
- `file_writer`: files whose names events choose, on disk before the batch goes on.
"""

from penstock.io.files.sink import WriteNowhere, WriteToFiles, WriteToStdout

__all__ = ["WriteNowhere", "WriteToFiles", "WriteToStdout"]
