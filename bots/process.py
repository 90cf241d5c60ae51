"""One worker process as the runner sees it: in a session of its own, and killed with its process group.

What a bot starts is in that group and ends with it, unless it is started in a session or group of its own
(`start_new_session=True`, `os.setsid`): that escapes, and goes on.

The bot gets a small environment: no setting and no secret of the platform, one thread for numeric libraries, UTC, and
a fixed seed for hashes, so that two machines iterate a set in the same order.

Invariant: no method blocks on the bot. Left out: what is said (`bots.exchange`), and walls against malice: a bot runs
with the rights of the user who starts it.

    process = BotProcess()
    process.send({"op": "load", ...}, code)
    process.write(); process.read()          # when a selector says so
    process.kill()
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bots.wire import WHERE, Inbox, frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bots.loading import Source

_PIECE = 1 << 18
_TAIL = 8_192
_STACK = b"Stack (most recent call first):\n"  # faulthandler's heading; at most 100 frames of 500 characters follow
_STACK_TAIL = 1 << 17
_OURS = f'  File "{Path(__file__).with_name("worker.py")}", '.encode("ascii", "backslashreplace")
_KEPT = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
_SET = {
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONIOENCODING": "utf-8:backslashreplace",
    "TZ": "UTC",
}


class BotProcess:
    """A running `python -m bots.worker`.

    Attributes:
        asked: Whether it was asked to load a bot.
        loaded: Whether it has said that it did.
        greeted: Whether it has answered for a bar yet; its first one may still import and compile.
    """

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | _SET
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-P", "-X", "faulthandler", "-m", "bots.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            start_new_session=True,
        )
        for fd in (self.requests, self.replies, self.printed):
            os.set_blocking(fd, False)
        self._inbox = Inbox()
        self._outbox = bytearray()
        self._tail = b""
        self._keeps = _TAIL
        self._ended = False
        self.asked = False
        self.loaded = False
        self.greeted = False

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's too."""
        return self._process.pid

    @property
    def requests(self) -> int:
        """Descriptor to write to."""
        return _fileno(self._process.stdin)

    @property
    def replies(self) -> int:
        """Descriptor to read answers from."""
        return _fileno(self._process.stdout)

    @property
    def printed(self) -> int:
        """Descriptor to read what the bot prints from."""
        return _fileno(self._process.stderr)

    @property
    def ended(self) -> bool:
        """Whether it has been killed."""
        return self._ended

    @property
    def unsent(self) -> bool:
        """Whether requests wait to be written."""
        return bool(self._outbox)

    def send(self, head: dict[str, Any], blob: bytes = b"") -> None:
        """Queue a request, and write as much as the pipe takes."""
        self._outbox += frame(head, blob)
        self.write()

    def load(self, source: Source) -> None:
        """Ask it to load a bot; the answer is read later."""
        self.asked, self.loaded, self.greeted = True, False, False
        self.send({"op": "load", "kind": source.kind, "place": source.place}, source.code)

    def write(self) -> None:
        """Write as much of the queue as the pipe takes."""
        try:
            while self._outbox:
                del self._outbox[: os.write(self.requests, memoryview(self._outbox)[:_PIECE])]
        except BlockingIOError:
            pass
        except BrokenPipeError:  # it has ended: reading will tell
            self._outbox.clear()

    def read(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """The answers that have arrived.

        Raises:
            EOFError: There will be no more: it has closed its end.
            FrameRejected: They cannot be read.
        """
        try:
            data = os.read(self.replies, _PIECE)
        except BlockingIOError:
            return
        if not data:
            raise EOFError
        yield from self._inbox.take(data)

    def read_printed(self) -> bool:
        """Take what the bot has printed, keeping its end; False when there will be no more."""
        try:
            data = os.read(self.printed, _PIECE)
        except BlockingIOError:
            return True
        self._tail = (self._tail + data)[-self._keeps :]
        return bool(data)

    def ask_where(self) -> None:
        """Have the worker print where its main thread is; it may be unable to. What it printed before is forgotten."""
        self._tail, self._keeps = b"", _STACK_TAIL
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, WHERE)  # the worker alone: to what it started the signal would be the end

    def where(self) -> tuple[str, bool]:
        """What has been read of the answer to `ask_where`.

        Returns:
            The frames above the worker's own, most recent first; and whether that is all of them.
        """
        _, heading, stack = self._tail.rpartition(_STACK)
        frames, ours, _ = stack.partition(_OURS) if heading else (b"", b"", b"")
        kept = [line for line in frames.decode("utf-8", "replace").splitlines() if line.startswith("  ")]
        return "\n".join(kept), bool(ours)

    def has_ended(self) -> bool:
        """Whether the process is over (it stays a zombie, its group's id taken, until `kill`)."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self) -> str:
        """End it and everything of its process group.

        Returns:
            How it ended and what it printed last, for messages.
        """
        if not self._ended:
            self._ended = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            self.read_printed()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()
        code = self._process.returncode
        how = f"ended with exit code {code}" if code >= 0 else f"was ended by {_signal(-code)}"
        printed = self._tail[-_TAIL:].decode("utf-8", "replace").strip()
        return f"{how}; it printed last:\n{printed}" if printed else how


def _fileno(stream: Any) -> int:  # noqa: ANN401 - what Popen holds: a raw stream, since all three are pipes
    return int(stream.fileno())


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
