"""Faults of MongoDB, real ones: stopped, frozen, killed, cut off, slow, full, another primary."""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from benchmarks.torturing.disks import Refused, small_disk
from benchmarks.torturing.doors import Harm
from benchmarks.torturing.faults import ANY, Playground
from benchmarks.torturing.mongods import Mongod, primary_of, replica_set
from benchmarks.torturing.proxy import BadLine

_UPLOAD = Harm(door=1, when="pause", only="mongo update codes_images")
_KILLED = "mongod killed (-9) or restarted in the upload"
_CUTS = (0, 300, 3_000, 15_000, 60_000)


def all_of(play: Playground, server: Mongod, folder: Path) -> None:
    """Try every fault of a single server."""
    _away(play, server)
    _frozen(play, server)
    _killed_in_the_upload(play, server)
    _emptied(play)
    _locked_for_writing(play, server)
    _misaddressed(play, server)
    _bad_lines(play, server)
    _full(play, folder)


def another_primary(play: Playground, servers: list[Mongod]) -> None:
    """Kill the primary of three while a sheet is uploaded, and let it come back."""
    for when in ("before", "with"):
        with play.trial(f"primary of three killed (-9): {when} the upload", ANY) as trial:
            primary = primary_of(servers)
            with _paused(play):
                primary.end(signal.SIGKILL)
                if when == "before":
                    primary_of([server for server in servers if server is not primary])
            trial.struck(play.stage.victims.finish(), play.stage)
            primary.start()
            primary_of(servers)
            trial.healed(play.stage)


def _away(play: Playground, server: Mongod) -> None:
    with play.trial("mongod stopped or frozen (SIGSTOP): stopped before the run") as trial:
        server.end()
        play.strike(trial)
        _start(server)
        trial.healed(play.stage)


def _frozen(play: Playground, server: Mongod) -> None:
    with play.trial("mongod stopped or frozen (SIGSTOP): frozen before the run") as trial:
        server.send(signal.SIGSTOP)
        play.strike(trial)
        server.send(signal.SIGCONT)
        trial.healed(play.stage)
    with play.trial("mongod stopped or frozen (SIGSTOP): frozen in the upload") as trial:
        with _paused(play):
            server.send(signal.SIGSTOP)
        trial.struck(play.stage.victims.finish(), play.stage)
        server.send(signal.SIGCONT)
        trial.healed(play.stage)


def _killed_in_the_upload(play: Playground, server: Mongod) -> None:
    with play.trial(f"{_KILLED}: as the bulk is sent") as trial:
        with _paused(play):
            server.end(signal.SIGKILL)
        trial.struck(play.stage.victims.finish(), play.stage)
        _start(server)
        trial.healed(play.stage)
    for delay_ms in (1, 3, 8):
        with play.trial(f"{_KILLED}: {delay_ms} ms into the bulk", ANY) as trial:
            with _paused(play):
                pass
            time.sleep(delay_ms / 1000)
            server.end(signal.SIGKILL)
            trial.struck(play.stage.victims.finish(), play.stage)
            _start(server)
            trial.healed(play.stage)
    with play.trial(f"{_KILLED}: stopped and started again", ANY) as trial:
        with _paused(play):
            server.end()
            _start(server)
        trial.struck(play.stage.victims.finish(), play.stage)
        trial.healed(play.stage)


def _emptied(play: Playground) -> None:
    with play.trial("database emptied between upload and archive", (-9,)) as trial:
        harm = Harm(door=1, when="before", only="link images_old")
        play.strike(trial, harm=harm)
        play.stage.client.drop_database(play.stage.name)
        trial.healed(play.stage)


def _locked_for_writing(play: Playground, server: Mongod) -> None:
    with play.trial("mongod locked against writing (fsyncLock)") as trial:
        with MongoClient(server.uri) as client:
            client.admin.command("fsync", lock=True)
            try:
                play.strike(trial)
            finally:
                client.admin.command("fsyncUnlock")
        trial.healed(play.stage)


def _misaddressed(play: Playground, server: Mongod) -> None:
    addresses = {
        "wrong password": f"mongodb://shop:wrong@127.0.0.1:{server.port}/?directConnection=true",
        "unknown host": "mongodb://nowhere.invalid:27017/",
        "nobody listens": "mongodb://127.0.0.1:9/?directConnection=true",
        "unreadable address": "mongodb://shop:half@",
    }
    for name, uri in addresses.items():
        with play.trial(f"address or password wrong: {name}") as trial:
            play.strike(trial, environment={"MONGODB_URI": uri})
            if "wrong@" in trial.said or "half" in trial.said:
                trial.violations.append(f"SECRET told: {trial.said}")
            trial.healed(play.stage)


def _bad_lines(play: Playground, server: Mongod) -> None:
    for size in _CUTS:
        for way in ("up_bytes", "down_bytes"):
            name = (
                f"TCP line cut: after {size} bytes {'to' if way == 'up_bytes' else 'from'} MongoDB"
            )
            with play.trial(name, ANY) as trial, BadLine(server.port, **{way: size}) as line:
                play.strike(trial, environment={"MONGODB_URI": line.uri})
                trial.healed(play.stage)
    for delay_s, expected in ((0.2, ANY), (5.0, (1,))):
        with (
            play.trial(f"TCP line slow: by {delay_s} s an answer", expected) as trial,
            BadLine(server.port, delay_s=delay_s) as line,
        ):
            play.strike(trial, environment={"MONGODB_URI": line.uri})
            trial.healed(play.stage)


def _full(play: Playground, folder: Path) -> None:
    name = "disk full under mongod, until it dies of it (tmpfs)"
    try:
        with (
            small_disk(folder / "small", "160m") as disk,
            replica_set(disk, 1) as servers,
            play.trial(name, ANY) as trial,
        ):
            stage, uri, client = play.stage, play.stage.uri, play.stage.client
            filler = disk / "filler"
            try:
                _point(play, servers[0].uri)
                stage.client[stage.name].sheets.find_one()
                _fill(filler, leave_bytes=0)
                play.strike(trial)
                with contextlib.suppress(PyMongoError):
                    # What it took into its journal does not fit into its data files: it dies of it.
                    stage.client.admin.command("fsync")
                filler.unlink()
                servers[0].end(signal.SIGKILL)
                _start(servers[0])
                trial.healed(stage)
            finally:
                stage.uri, stage.client = uri, client
                stage.scene.database = client[stage.name]
    except Refused as refused:
        play.skip(name, str(refused))


def _fill(filler: Path, *, leave_bytes: int) -> None:
    free = shutil.disk_usage(filler.parent).free
    block = b"\0" * 65536
    with filler.open("wb") as file, contextlib.suppress(OSError):
        for _ in range(max(0, free - leave_bytes) // len(block) + 1):
            file.write(block)


def _point(play: Playground, uri: str) -> None:
    stage = play.stage
    stage.uri = uri
    stage.client = MongoClient(uri, tz_aware=True, serverSelectionTimeoutMS=20_000)
    stage.scene.database = stage.client[stage.name]


def _paused(play: Playground):  # type: ignore[no-untyped-def]  # a context manager
    stage = play.stage
    return stage.victims.paused(stage.environment, stage.roots, harm=_UPLOAD, timeout_s=90)


def _start(server: Mongod) -> None:
    server.start()
    primary_of([server])
