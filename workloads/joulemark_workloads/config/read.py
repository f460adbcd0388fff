"""YAML files into one merged mapping that still knows which line of which file each key came from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from ..errors import WorkloadError
from .known_keys import instead_of

Key = tuple[str, ...]
_EXTENDS = "extends"


class Document(NamedTuple):
    """Merged keys and values, and where each key was written (`file:line`, or the `--set` that gave it)."""

    data: dict[str, Any]
    places: dict[Key, str]

    def complaints(self, error: ValidationError, moved: Mapping[Key, Key]) -> str:
        """One line per error: place, key, what is wrong; `moved` maps a key to where its value came from."""
        found = error.errors()
        # A list whose every element is wrong is told to be empty as well: what is wrong in it is enough.
        within = {one["loc"][:-1] for one in found}
        told = [one for one in found if not (one["type"] == "too_short" and one["loc"] in within)]
        return "\n".join(self._complaint(one["type"], one["msg"], one["loc"], moved) for one in told)

    def _complaint(self, kind: str, message: str, loc: Sequence[int | str], moved: Mapping[Key, Key]) -> str:
        key = tuple(str(part) for part in loc)
        unknown = kind == "extra_forbidden"
        what = f"unknown key, {instead_of(key)}" if unknown else message.removeprefix("Value error, ")
        return f"{self._place(key, moved)}: {'.'.join(key) or 'experiment'}: {what}"

    def _place(self, key: Key, moved: Mapping[Key, Key]) -> str:
        for source, target in moved.items():
            if key[: len(source)] == source:
                key = target + key[len(source) :]
        # A missing key has no line of its own: that of its section is the nearest.
        return next((self.places[key[:end]] for end in range(len(key), -1, -1) if key[:end] in self.places), "?")


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-3 is a number, as in YAML 1.2, and no key may stand twice."""


_Loader.yaml_implicit_resolvers = {k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:\d+(?:\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)


def read_document(path: Path, settings: Sequence[str] = ()) -> Document:
    """Read a file, what it extends, and `key.sub=value` settings on top; raises WorkloadError naming the line."""
    document = _read(path, ())
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise WorkloadError(f"--set {setting!r} is not key=value: write e.g. --set training.seed=1")
        document = _merged(document, _setting(name, text))
    return document


def _read(path: Path, seen: tuple[Path, ...]) -> Document:
    try:
        text = path.read_text()
    except OSError as error:
        raise WorkloadError(f"configuration {path} cannot be read ({error.strerror}): name another file") from error
    if path.resolve() in seen:
        raise WorkloadError(f"configuration {path} extends itself: take one 'extends' out")
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise WorkloadError(f"configuration {path} is not YAML: {error}") from error
    if not isinstance(data, dict) or node is None:
        raise WorkloadError(f"configuration {path} is not a mapping: write keys such as 'name: my-experiment'")
    places = {(): f"{path}:1", **_places(node, path)}
    base = data.pop(_EXTENDS, None)
    own = Document(data, places)
    if base is None:
        return own
    return _merged(_read(path.parent / str(base), (*seen, path.resolve())), own)


def _setting(name: str, text: str) -> Document:
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise WorkloadError(f"--set {name}={text}: the value is not YAML: {error}") from error
    keys = name.split(".")
    for key in reversed(keys):
        value = {key: value}
    return Document(value, {tuple(keys[:end]): f"--set {name}" for end in range(1, len(keys) + 1)})


def _merged(base: Document, top: Document) -> Document:
    return Document(_merged_data(base.data, top.data), {**base.places, **top.places})


def _merged_data(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = _merged_data(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _places(node: yaml.Node, path: Path, prefix: Key = ()) -> dict[Key, str]:
    """The place of every key and of every element of a list; a key that stands twice is an error."""
    found: dict[Key, str] = {}
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = (*prefix, str(key_node.value))
            place = f"{path}:{key_node.start_mark.line + 1}"
            if key in found:
                raise WorkloadError(f"{place}: {'.'.join(key)}: stands twice, first at {found[key]}")
            found[key] = place
            found.update(_places(value_node, path, key))
    elif isinstance(node, yaml.SequenceNode):
        for index, element in enumerate(node.value):
            key = (*prefix, str(index))
            found[key] = f"{path}:{element.start_mark.line + 1}"
            found.update(_places(element, path, key))
    return found
