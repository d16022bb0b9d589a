"""The harness's side of the launcher: orders runs and hears how they ended."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.torturing.doors import Harm

_REPOSITORY = Path(__file__).resolve().parents[2]
KILLED = -9


@dataclass(frozen=True)
class Run:
    """How one run ended.

    Attributes:
        status: The exit code; the negative number of the signal that ended it.
        seconds: How long it took.
        hung: Whether it had to be ended because it took too long.
        doors: The labels of the doors that it passed, in order.
        output: What it printed.
        errors: Its standard error.
    """

    status: int
    seconds: float
    hung: bool
    doors: list[str]
    output: str
    errors: str

    @property
    def killed(self) -> bool:
        """Whether it was killed, as ordered."""
        return self.status == KILLED and not self.hung

    @property
    def answer(self) -> dict[str, Any] | None:
        """What it printed with `--json`, None if it did not come to that."""
        try:
            value = json.loads(self.output)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    @property
    def told(self) -> str:
        """What it said of each sheet, or else its last words."""
        sheets = (self.answer or {}).get("sheets") or []
        told = [f"{item['name']}: {item['state']}: {item['error']}" for item in sheets]
        return "; ".join(told) or (self.output + self.errors)[-800:]

    @property
    def last_door(self) -> str:
        """The door at which it ended."""
        return self.doors[-1] if self.doors else "(none)"


@dataclass
class Victims:
    """Runs of the real command line, one at a time.

    Attributes:
        scratch: A folder for what a run prints.
        api_url: The Prefect server.
        account: The user and group id that they have, None for the harness's own.
        within: The start of a command line that puts what follows elsewhere: under another
            account, on another host.
    """

    scratch: Path
    api_url: str
    account: int | None = None
    within: tuple[str, ...] = ()
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    def __enter__(self) -> Victims:
        self.scratch.mkdir(parents=True, exist_ok=True)
        if self.account is not None:
            os.chown(self.scratch, self.account, self.account)
        environment = {
            **{name: v for name, v in os.environ.items() if not _is_a_setting(name)},
            "PREFECT_API_URL": self.api_url,
            "PREFECT_HOME": str(self.scratch / "prefect"),
            "PREFECT_LOGGING_EXTRA_LOGGERS": "sheetflow",
            "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
            "PYTHONPATH": str(_REPOSITORY),
            "HOME": str(self.scratch),
            "no_proxy": urlsplit(self.api_url).hostname or "",
            "NO_PROXY": urlsplit(self.api_url).hostname or "",
        }
        with (self.scratch / "zygote.log").open("w") as log:
            self._process = subprocess.Popen(
                [*self.within, sys.executable, "-m", "benchmarks.torturing.zygote"],
                cwd=self.scratch,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._hear()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def lose_power(self) -> None:
        """End the launcher, and what runs in it, without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def begin(
        self,
        environment: Mapping[str, str],
        roots: list[str],
        *,
        harm: Harm = Harm(),  # noqa: B008 - frozen
        argv: tuple[str, ...] = ("ingest", "--json"),
        timeout_s: float = 90.0,
        **more: Any,
    ) -> None:
        """Start a run; `finish` waits for it.

        Args:
            environment: The settings.
            roots: The folders whose doors count.
            harm: What shall happen to it.
            argv: The command's arguments.
            timeout_s: When it is taken for hung.
            more: Further fields of the order: `kill_after_s`, `inline_bytes`, `real_workers`,
                `no_links`, `machine`.
        """
        for name in ("out", "err", "doors", "paused", "go"):
            (self.scratch / name).unlink(missing_ok=True)
        if harm.when == "pause":
            harm = Harm(**{**asdict(harm), "pause": str(self.scratch)})
        order = {
            "environment": dict(environment),
            "roots": roots,
            "harm": asdict(harm),
            "argv": ["sheetflow", *argv],
            "scratch": str(self.scratch),
            "timeout_s": timeout_s,
            **more,
        }
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def finish(self) -> Run:
        """Wait for the run that was begun."""
        ended = self._hear()
        return Run(
            ended["status"],
            ended["seconds"],
            ended["hung"],
            [line.split(" ", 1)[1] for line in self._doors()],
            (self.scratch / "out").read_text(errors="replace"),
            (self.scratch / "err").read_text(errors="replace"),
        )

    def run(self, environment: Mapping[str, str], roots: list[str], **options: Any) -> Run:
        """Begin a run and wait for it."""
        self.begin(environment, roots, **options)
        return self.finish()

    @contextlib.contextmanager
    def paused(
        self, environment: Mapping[str, str], roots: list[str], **options: Any
    ) -> Iterator[None]:
        """Begin a run that pauses at a door, yield when it stands there, and let it go on."""
        import time

        self.begin(environment, roots, **options)
        deadline = time.monotonic() + 60
        while not (self.scratch / "paused").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        try:
            yield
        finally:
            (self.scratch / "go").touch()

    def _doors(self) -> list[str]:
        file = self.scratch / "doors"
        return file.read_text(errors="replace").splitlines() if file.exists() else []

    def _hear(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            log = (self.scratch / "zygote.log").read_text(errors="replace")
            raise RuntimeError(f"the launcher of victims has ended: {log[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _is_a_setting(name: str) -> bool:
    return name.upper().startswith(("SHEETFLOW_", "PREFECT_", "MONGODB_URI", "DATABASE_NAME"))
