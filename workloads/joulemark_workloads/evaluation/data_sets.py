"""The data sets of a hub that lm-eval's benchmarks are made of, as lm-eval's own configuration names them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES

from ..hub.thing import Repository, Thing
from .tasks import check_known, task_manager

Config = Mapping[str, Any]


@cache
def data_sets_of(benchmark: str) -> tuple[Thing, ...]:
    """Each once, of a group those of all its parts; raises WorkloadError where lm-eval does not know it.

    What a task makes or fetches by code of its own cannot be told from its configuration.
    """
    manager = task_manager(include_defaults=True)
    check_known(benchmark, manager)
    found = (_thing(config) for config in _configs(benchmark, manager.task_index, {}))
    return tuple(dict.fromkeys(thing for thing in found if thing))


def _configs(name: str, index: Mapping[str, Any], above: Config) -> Iterator[Config]:
    """The configurations of a task, or of all tasks of a group or a tag; what stands further up goes on top."""
    entry = index[name]
    config: Config = {**(entry.cfg or {}), **above}
    if entry.tags and entry.cfg is None:
        for task in sorted(entry.tags & index.keys()):
            yield from _configs(task, index, above)
    elif "group" in config and "class" not in config:
        yield from _parts(config, index, above)
    else:
        yield config


def _parts(group: Config, index: Mapping[str, Any], above: Config) -> Iterator[Config]:
    inherited = {key: value for key, value in group.items() if key.startswith("dataset_")} | dict(above)
    for part in group["task"] if isinstance(group["task"], list) else [group["task"]]:
        own = {} if isinstance(part, str) else {k: v for k, v in part.items() if k not in ("task", "group")}
        name = part if isinstance(part, str) else part.get("group", part.get("task"))
        if name in index:
            yield from _configs(name, index, {**inherited, **own})
        elif isinstance(part, dict) and "group" in part:
            yield from _parts(part, index, {**inherited, **own})
        else:
            yield {**inherited, **own}


def _thing(config: Config) -> Thing | None:
    """None where it comes from a folder, from files, or by the task's own code."""
    path = config.get("dataset_path")
    if not isinstance(path, str) or "class" in config or config.get("custom_dataset"):
        return None
    if path in _PACKAGED_DATASETS_MODULES or Path(path).is_dir():
        return None
    options = dict(config.get("dataset_kwargs") or {})
    revision = options.pop("revision", None)
    options.pop("trust_remote_code", None)
    return Thing(
        Repository("dataset", path, revision),
        subset=config.get("dataset_name"),
        options=json.dumps(options, sort_keys=True, default=str),
    )
