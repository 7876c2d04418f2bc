"""`io/files` writes events to files and to the standard output, and reads lines of files and of the standard input.

- `sink`: `WriteToFiles`, `WriteToStdout`, `WriteNowhere`.    - `_text`: an event as text (pure).
- `file_writer`: files whose names events choose, on disk before the batch goes on.
- `source`: `ReadFromFiles`, `ReadFromStdin`.        - `line_source`, `_line_cutter`: lines, and bytes into lines (pure).
- `following`: files as they grow and rotate.       - `positions`: how far each is done.
"""

from penstock.io.files.line_source import FollowOptions
from penstock.io.files.sink import WriteNowhere, WriteToFiles, WriteToStdout
from penstock.io.files.source import ReadFromFiles, ReadFromStdin

__all__ = ["FollowOptions", "ReadFromFiles", "ReadFromStdin", "WriteNowhere", "WriteToFiles", "WriteToStdout"]
