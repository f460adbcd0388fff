"""Every setting of `joulemark serve`: one table for flags, JOULEMARK_… variables and the YAML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from .errors import SettingsError

SOURCES = ("auto", "nvml_counter", "nvml_power", "rapl", "cpu_model", "replay")


def _duration(text: str) -> float:
    """Seconds from '100ms', '0.1s', '2m' or a plain number of seconds."""
    units = {"ms": 1e-3, "s": 1.0, "m": 60.0}
    for unit in ("ms", "s", "m"):
        if text.endswith(unit):
            return float(text[: -len(unit)]) * units[unit]
    return float(text)


@dataclass(frozen=True)
class Setting:
    """One row of the table: `field` is the attribute of Settings, `flag` the option, also the YAML key."""

    field: str
    flag: str
    parse: Any
    help: str

    @property
    def variable(self) -> str:
        """The environment variable: JOULEMARK_ and the flag in capitals."""
        return "JOULEMARK_" + self.flag.upper().replace(".", "_").replace("-", "_")


TABLE = (
    Setting("listen_address", "web.listen-address", str, "Address to serve on, HOST:PORT."),
    Setting("state_dir", "state-dir", Path, "Folder of the ledger (SQLite); totals survive restarts there."),
    Setting("source", "source", str, "Power source: " + ", ".join(SOURCES) + "."),
    Setting("sample_interval", "sample-interval", _duration, "Time between readings: 100ms, 0.5s, 1."),
    Setting("keep_runs", "keep-runs", int, "How many of the newest runs stay on /metrics."),
    Setting("cpu_tdp_watts", "cpu-model.tdp-watts", float, "TDP for the CPU model, all packages, in watts."),
    Setting("cpu_idle_watts", "cpu-model.idle-watts", float, "Idle power for the CPU model in watts."),
    Setting(
        "replay_trace",
        "replay.trace",
        Path,
        "YAML of the replay source: device -> pairs of seconds and watts.",
    ),
    Setting("log_level", "log.level", str, "debug, info, warning or error."),
)


def default_state_dir() -> Path:
    """The user's own state folder, as the XDG specification has it."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "joulemark"


@dataclass(frozen=True)
class Settings:
    """What `serve` runs with; checked once here and never again."""

    state_dir: Path
    listen_address: str = "127.0.0.1:9871"
    source: str = "auto"
    sample_interval: float = 0.1
    keep_runs: int = 20
    cpu_tdp_watts: float | None = None
    cpu_idle_watts: float | None = None
    replay_trace: Path | None = None
    log_level: str = "info"

    def __post_init__(self) -> None:
        _require(self.source in SOURCES, "source", self.source, "one of " + ", ".join(SOURCES))
        _require(0.01 <= self.sample_interval <= 1, "sample-interval", self.sample_interval, "10ms to 1s")
        _require(1 <= self.keep_runs <= 10_000, "keep-runs", self.keep_runs, "1 to 10000")
        levels = ("debug", "info", "warning", "error")
        _require(self.log_level in levels, "log.level", self.log_level, ", ".join(levels))
        for name in ("cpu_tdp_watts", "cpu_idle_watts"):
            watts = getattr(self, name)
            _require(watts is None or 0 < watts < 100_000, _flag(name), watts, "watts above 0")
        if self.cpu_tdp_watts and self.cpu_idle_watts:
            below = self.cpu_idle_watts <= self.cpu_tdp_watts
            _require(below, "cpu-model.idle-watts", self.cpu_idle_watts, "at most the TDP")
        _ = self.host_and_port

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The listen address in its two parts; an empty host means every interface."""
        host, colon, port = self.listen_address.rpartition(":")
        valid = bool(colon) and port.isdigit() and 0 <= int(port) <= 65535
        _require(valid, "web.listen-address", self.listen_address, "HOST:PORT, for example 127.0.0.1:9871")
        return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104  the user asked for every interface


def load_settings(flags: Mapping[str, str | None], environ: Mapping[str, str], config_file: Path | None) -> Settings:
    """Merge flags over environment over YAML over defaults; raises SettingsError naming the culprit.

    `flags` maps field names of Settings to text as typed, None where the flag was not given.
    """
    texts: dict[str, tuple[str, str]] = {}
    for row in TABLE:
        if row.variable in environ:
            texts[row.field] = (row.variable, environ[row.variable])
    merged = {**_from_yaml(config_file), **texts}
    merged.update({name: (f"--{_flag(name)}", text) for name, text in flags.items() if text is not None})
    values = {row.field: _parse(row, *merged[row.field]) for row in TABLE if row.field in merged}
    values.setdefault("state_dir", default_state_dir())
    return Settings(**values)


def _from_yaml(path: Path | None) -> dict[str, tuple[str, str]]:
    if path is None:
        return {}
    try:
        data = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"configuration file {path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise SettingsError(f"configuration file {path}: expected 'key: value' lines")
    rows = {row.flag: row for row in TABLE}
    for key in data:
        if key not in rows:
            raise SettingsError(f"configuration file {path}: unknown key {key!r}; known: {', '.join(rows)}")
    return {rows[key].field: (f"{path}: {key}", str(value)) for key, value in data.items()}


def _parse(row: Setting, origin: str, text: str) -> Any:
    try:
        return row.parse(text)
    except ValueError as error:
        raise SettingsError(f"{origin}: {text!r} cannot be used: {row.help}") from error


def _flag(field: str) -> str:
    return next(row.flag for row in TABLE if row.field == field)


def _require(holds: bool, flag: str, value: object, accepted: str) -> None:
    if not holds:
        raise SettingsError(f"--{flag}: {value!r} is not possible; accepted: {accepted}")


assert {row.field for row in TABLE} == {field.name for field in fields(Settings)}
