"""A teacher artifact on disk: shards of Arrow, named by what made them, each there whole and verified or not at all.

    ROOT/KIND/IDENTITY/manifest.json   what it is: kind and key
                       00000.arrow     a shard's rows
                       00000.json      its rows, tokens, bytes, digest and the run that paid for it; written last

A shard counts once its .json is there, so an interrupted artifact goes on where it stopped, in any order and from
several processes: what was paid for is not paid for twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import pyarrow as pa

from ..errors import WorkloadError

_MANIFEST = "manifest.json"
_FORMAT = 2
_CHUNK_BYTES = 1 << 22
_READ_BYTES = 1 << 18
Key = Mapping[str, Any]


class Shard(NamedTuple):
    """What is known of a shard; `made_by` is the run on whose bill it is."""

    rows: int
    tokens: int
    bytes: int
    sha256: str
    made_by: str


class Artifact:
    """One artifact folder, complete or growing; `shards` in all."""

    def __init__(self, folder: Path, kind: str, key: Key, shards: int) -> None:
        self.kind = kind
        self.key = dict(key)
        self.folder = folder
        self.shards = shards
        self._done: dict[int, Shard] = {}
        self._check_manifest()
        self.refresh()

    @property
    def identity(self) -> str:
        """The content address, `sha256:…`, of kind and key."""
        return identity_of(self.kind, self.key)

    @property
    def missing(self) -> list[int]:
        """Numbers of the shards that are still to be made."""
        return [index for index in range(self.shards) if index not in self._done]

    @property
    def is_complete(self) -> bool:
        """Whether every shard is there."""
        return not self.missing

    @property
    def tokens(self) -> int:
        """Tokens in the shards that are there."""
        return sum(shard.tokens for shard in self._done.values())

    @property
    def bytes(self) -> int:
        """Bytes on disk of the shards that are there."""
        return sum(shard.bytes for shard in self._done.values())

    @property
    def makers(self) -> list[str]:
        """The runs that paid for the shards that are there."""
        return sorted({shard.made_by for shard in self._done.values()})

    def refresh(self) -> None:
        """Look at the disk again; a shard that is not what it was is not there."""
        self._done = {index: shard for index in range(self.shards) if (shard := self._verified(index))}

    def append(self, index: int, table: pa.Table, tokens: int, made_by: str) -> Shard:
        """Put a shard on disk and read it back; raises OSError where the disk is full, leaving nothing half there."""
        self._write_manifest()
        data = _serialised(table)
        digest = hashlib.sha256(data).hexdigest()
        file = self._file(index)
        _write_whole(file, data)
        if not _reads_back(file, data):
            raise WorkloadError(f"{file} reads back otherwise than it was written: the disk is failing")
        shard = Shard(len(table), tokens, len(data), digest, made_by)
        _write_whole(file.with_suffix(".json"), json.dumps(shard._asdict(), indent=1).encode())
        self._done[index] = shard
        return shard

    def read(self) -> Any:
        """All rows, memory-mapped, in order, as a data set of NumPy arrays."""
        if self.missing:
            raise WorkloadError(f"{self.folder} is not complete, shard {self.missing[0]} is missing: run the teacher")
        parts = [datasets.Dataset.from_file(str(self._file(index))) for index in range(self.shards)]
        return datasets.concatenate_datasets(parts).with_format("numpy")

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Alone with this artifact; yields whether somebody else had to be waited for."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            waited = False
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waited = True
                fcntl.flock(lock, fcntl.LOCK_EX)
            self.refresh()
            yield waited

    def _file(self, index: int) -> Path:
        return self.folder / f"{index:05d}.arrow"

    def _verified(self, index: int) -> Shard | None:
        file = self._file(index)
        try:
            shard = Shard(**json.loads(file.with_suffix(".json").read_text()))
            return shard if file.stat().st_size == shard.bytes and _digest(file) == shard.sha256 else None
        except (OSError, ValueError, TypeError):
            return None

    def _check_manifest(self) -> None:
        path = self.folder / _MANIFEST
        if not path.exists():
            return
        try:
            manifest = json.loads(path.read_text())
            theirs = {"format": manifest["format"], "kind": manifest["kind"], **manifest["key"]}
        except (ValueError, KeyError, TypeError) as error:
            raise WorkloadError(f"{path} is damaged ({error}): remove {self.folder} to make it anew") from error
        differences = differences_between(theirs, {"format": _FORMAT, "kind": self.kind, **self.key})
        if differences:
            raise WorkloadError(f"{self.folder} was made otherwise ({differences}): remove it, or ask for what it is")

    def _write_manifest(self) -> None:
        path = self.folder / _MANIFEST
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            manifest = {"format": _FORMAT, "kind": self.kind, "key": self.key}
            _write_whole(path, json.dumps(manifest, indent=1).encode())


def identity_of(kind: str, key: Key) -> str:
    """The content address of what a kind and a key describe."""
    facts = json.dumps({"format": _FORMAT, "kind": kind, **key}, sort_keys=True)
    return "sha256:" + hashlib.sha256(facts.encode()).hexdigest()


def open_artifact(root: Path, kind: str, key: Key, shards: int, use: str | None = None) -> Artifact:
    """The artifact of this kind and key under a root, or the folder `use` where one is named.

    Raises WorkloadError, naming each difference, where a folder was made otherwise than asked for.
    """
    if use is None:
        return Artifact(_folder(root, kind, key), kind, key, shards)
    if not (Path(use) / _MANIFEST).exists():
        raise WorkloadError(f"{use} has no {_MANIFEST}: name a folder that a teacher phase has made")
    return Artifact(Path(use), kind, key, shards)


def is_there(root: Path, kind: str, key: Key, shards: int, use: str | None = None) -> bool:
    """Whether every shard is said to be on disk; none is read, which takes long where there is much."""
    folder = Path(use) if use else _folder(root, kind, key)
    return all((folder / f"{index:05d}.json").exists() for index in range(shards))


def nearest(root: Path, kind: str, key: Key) -> tuple[Path, str] | None:
    """The artifact of this kind under a root that differs in the fewest points, and those; None where there is none."""
    found = []
    for path in sorted((root / kind).glob(f"*/{_MANIFEST}")):
        try:
            theirs = json.loads(path.read_text())["key"]
        except (OSError, ValueError, KeyError):
            continue
        differences = differences_between(theirs, dict(key))
        found.append((differences.count(", "), path.parent, differences))
    return min(found)[1:] if found else None


def differences_between(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """`top_k: 64 there, 100 asked for, …`; empty where there are none."""
    names = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
    return ", ".join(f"{name}: {theirs.get(name)} there, {ours.get(name)} asked for" for name in names)


def _folder(root: Path, kind: str, key: Key) -> Path:
    return root / kind / identity_of(kind, key).removeprefix("sha256:")[:16]


def _serialised(table: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue()).cast("B")


def _write_whole(path: Path, data: bytes | memoryview) -> None:
    """A file that appears whole or not at all, and stays when the power goes."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _reads_back(path: Path, data: memoryview) -> bool:
    """Whether the disk gives back what was written; from the disk itself where the system can be asked to forget."""
    # Small enough to stay in the processor's cache; an array of bytes, as Python compares those as blocks of memory.
    chunk = bytearray(_READ_BYTES)
    with path.open("rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        place = 0
        while count := file.readinto(chunk):
            read = chunk if count == len(chunk) else chunk[:count]
            if read != data[place : place + count]:
                return False
            place += count
    return place == len(data)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
