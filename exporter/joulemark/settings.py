"""Every setting of `joulemark serve`: one table for flags, JOULEMARK_… variables and the YAML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from .addresses import Address, parse_addresses
from .carbon import intensity_of
from .errors import SettingsError
from .factors import Factors
from .setting_values import duration, engine, names, octal, truth, url

SOURCES = ("auto", "nvml_counter", "nvml_power", "rapl", "cpu_model", "replay")


@dataclass(frozen=True)
class Setting:
    """One row of the table: `field` is the attribute of Settings, `flag` the option, also the YAML key.

    `many` says that it takes several values, separated by commas or given by repeating the option, `switch` that the
    option alone means true.
    """

    field: str
    flag: str
    parse: Any
    help: str
    group: Literal["Power and ledger", "CO2e and cost", "Jobs that already exist", "Web"] = "Power and ledger"
    many: bool = False
    switch: bool = False

    @property
    def variable(self) -> str:
        """The environment variable: JOULEMARK_ and the flag in capitals."""
        return "JOULEMARK_" + self.flag.upper().replace(".", "_").replace("-", "_")


TABLE = (
    Setting("state_dir", "state-dir", Path, "Folder of the ledger (SQLite); totals survive restarts there."),
    Setting("source", "source", str, "Power source: " + ", ".join(SOURCES) + "."),
    Setting("sample_interval", "sample-interval", duration, "Time between readings: 100ms, 0.5s, 1."),
    Setting("keep_runs", "keep-runs", int, "How many of the newest runs stay on /metrics."),
    Setting("cpu_tdp_watts", "cpu-model.tdp-watts", float, "TDP for the CPU model, all packages, in watts."),
    Setting("cpu_idle_watts", "cpu-model.idle-watts", float, "Idle power for the CPU model in watts."),
    Setting(
        "replay_trace",
        "replay.trace",
        Path,
        "YAML of the replay source: device -> pairs of seconds and watts.",
    ),
    Setting(
        "pue",
        "pue",
        float,
        "Facility power over device power, for CO2e and cost; 1 counts no overhead.",
        "CO2e and cost",
    ),
    Setting(
        "carbon_zone", "carbon.zone", str, "Country of the grid for CO2e: DE, FRA, US, EU, WORLD, …", "CO2e and cost"
    ),
    Setting(
        "carbon_grams_per_kwh",
        "carbon.grams-per-kwh",
        float,
        "Grams of CO2e per kWh, in place of the table's.",
        "CO2e and cost",
    ),
    Setting(
        "carbon_file",
        "carbon.file",
        Path,
        "CSV (zone, grams_per_kwh, source) in place of the shipped table.",
        "CO2e and cost",
    ),
    Setting("price_per_kwh", "price.per-kwh", float, "Price of a kWh, for cost.", "CO2e and cost"),
    Setting("price_currency", "price.currency", str, "Currency of the price: EUR, USD, …", "CO2e and cost"),
    Setting(
        "docker",
        "docker",
        truth,
        "Book containers that carry the labels joulemark.run and joulemark.stage.",
        "Jobs that already exist",
        switch=True,
    ),
    Setting(
        "docker_host",
        "docker.host",
        engine,
        "Container engine for --docker: unix:///PATH or tcp://HOST:PORT; read access is enough.",
        "Jobs that already exist",
    ),
    Setting(
        "processes",
        "processes",
        truth,
        "Name the processes on each GPU with their container, Slurm job or unit: a guess, nothing is booked by it.",
        "Jobs that already exist",
        switch=True,
    ),
    Setting("log_level", "log.level", str, "debug, info, warning or error."),
    Setting(
        "listen_addresses",
        "web.listen-address",
        parse_addresses,
        "Where to serve: HOST:PORT, :PORT for every interface, unix:/PATH for a Unix socket; repeat for several.",
        "Web",
        many=True,
    ),
    Setting("socket_mode", "web.socket-mode", octal, "Permissions of the Unix socket, octal, e.g. 666.", "Web"),
    Setting("socket_group", "web.socket-group", str, "Group of the Unix socket, e.g. of those who run jobs.", "Web"),
    Setting(
        "allowed_hosts",
        "web.allowed-hosts",
        names,
        "Names beside localhost by which browsers may reach a loopback address, e.g. of a reverse proxy.",
        "Web",
        many=True,
    ),
    Setting(
        "web_config_file",
        "web.config.file",
        Path,
        "TLS, client certificates, basic auth, rate limit: the web configuration file of Prometheus' exporters.",
        "Web",
    ),
    Setting(
        "token_file",
        "api.token-file",
        Path,
        "Who may write, NAME:TOKEN lines; from then on every writer needs one, and may be on another machine.",
        "Web",
    ),
    Setting("prometheus_url", "web.prometheus-url", url, "Where browsers find Prometheus: linked on the page.", "Web"),
    Setting("grafana_url", "web.grafana-url", url, "Where browsers find Grafana: linked on the page.", "Web"),
)


def default_state_dir() -> Path:
    """The user's own state folder, as the XDG specification has it."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "joulemark"


@dataclass(frozen=True)
class Settings:
    """What `serve` runs with; checked once here and never again."""

    state_dir: Path
    source: str = "auto"
    sample_interval: float = 0.1
    keep_runs: int = 20
    cpu_tdp_watts: float | None = None
    cpu_idle_watts: float | None = None
    replay_trace: Path | None = None
    pue: float = 1.0
    carbon_zone: str | None = None
    carbon_grams_per_kwh: float | None = None
    carbon_file: Path | None = None
    price_per_kwh: float | None = None
    price_currency: str | None = None
    docker: bool = False
    docker_host: str | None = None
    processes: bool = False
    log_level: str = "info"
    listen_addresses: tuple[Address, ...] = (Address("127.0.0.1", 9871),)
    socket_mode: int = 0o660
    socket_group: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    web_config_file: Path | None = None
    token_file: Path | None = None
    prometheus_url: str | None = None
    grafana_url: str | None = None

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
        _require(0 <= self.socket_mode <= 0o777, "web.socket-mode", oct(self.socket_mode), "0 to 777")
        _ = self.factors

    @property
    def factors(self) -> Factors:
        """What turns joules into CO2e and cost; raises SettingsError for what cannot be used."""
        grid = intensity_of(self.carbon_zone, self.carbon_grams_per_kwh, self.carbon_file)
        return Factors(self.pue, grid, self.price_per_kwh, self.price_currency)


def default_text(row: Setting) -> str:
    """The default of a setting as one would type it; empty when it has none."""
    value = next(f.default for f in fields(Settings) if f.name == row.field)
    if row.field == "state_dir":
        return str(default_state_dir())
    if row.field == "socket_mode":
        return f"{value:o}"
    if isinstance(value, bool):
        return ""
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return "" if value is None else str(value)


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
    return {rows[key].field: (f"{path}: {key}", _text(value)) for key, value in data.items()}


def _text(value: object) -> str:
    return ",".join(str(item) for item in value) if isinstance(value, list) else str(value)


def _parse(row: Setting, origin: str, text: str) -> Any:
    try:
        return row.parse(text)
    except ValueError as error:
        raise SettingsError(f"{origin}: {text!r} cannot be used ({error}): {row.help}") from error


def _flag(field: str) -> str:
    return next(row.flag for row in TABLE if row.field == field)


def _require(holds: bool, flag: str, value: object, accepted: str) -> None:
    if not holds:
        raise SettingsError(f"--{flag}: {value!r} is not possible; accepted: {accepted}")


assert {row.field for row in TABLE} == {field.name for field in fields(Settings)}
