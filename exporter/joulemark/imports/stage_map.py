"""Which stage a foreign tool's window, task or stage is booked to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..errors import InvalidField
from ..names import CANONICAL_STAGES, check_phase, check_stage
from .imported_run import ImportedStage, ImportFailed

# What a word of a name begins with -> stage and phase; the first that fits, so the telling ones come first.
_TELLING = (
    ("logit_cach", "teacher", "logit_caching"),
    ("logits", "teacher", "logit_caching"),
    ("generat", "teacher", "generation"),
    ("synthetic_dataset", "teacher", "generation"),
    ("preprocess", "data", "preprocessing"),
    ("idle", "prerun", "idle"),
    ("burn_in", "prerun", "burn_in"),
    ("prerun", "prerun", ""),
    ("benchmark", "eval", "benchmarks"),
    ("eval", "eval", ""),
    ("train", "student", ""),
)


@dataclass(frozen=True)
class StageMap:
    """What the user said of names, `NAME=STAGE` or `NAME=STAGE/PHASE`; other names are taken for what they say."""

    said: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> StageMap:
        """Read `--map` options; raises ImportFailed for what is none."""
        said = {}
        for text in texts:
            name, equals, target = text.rpartition("=")
            stage, _, phase = target.partition("/")
            try:
                if not equals or not name:
                    raise InvalidField("no name", remedy="")
                said[name] = (check_stage(stage), check_phase(phase))
            except InvalidField as error:
                raise ImportFailed(
                    f"--map {text}: write NAME=STAGE or NAME=STAGE/PHASE, e.g. epoch=student/kd"
                ) from error
        return cls(said)

    def of(self, name: str) -> tuple[str, str]:
        """Stage and phase of a name; raises ImportFailed where it says neither."""
        if name in self.said:
            return self.said[name]
        plain = name.casefold().replace("-", "_")
        if plain in CANONICAL_STAGES:
            return plain, ""
        for part, stage, phase in _TELLING:
            # At the beginning of a word: "retrieval" is no evaluation.
            if re.search(rf"(?<![a-z]){part}", plain):
                return stage, phase
        raise ImportFailed(
            f"{name!r} is no stage that is known: say which by --map '{name}=STAGE', where STAGE is one of "
            f"{', '.join(CANONICAL_STAGES)} or your own"
        )


def merged(stages: Sequence[ImportedStage]) -> tuple[ImportedStage, ...]:
    """One stage of each stage and phase, in the order in which they began: a tool may have thousands of windows."""
    together: dict[tuple[str, str], list[ImportedStage]] = {}
    for stage in sorted(stages, key=lambda one: one.started_at or 0.0):
        together.setdefault((stage.stage, stage.phase), []).append(stage)
    return tuple(_one(parts) for parts in together.values())


def _one(parts: Sequence[ImportedStage]) -> ImportedStage:
    joules: dict[str, float] = {}
    tokens: dict[str, int] = {}
    for part in parts:
        for device, value in part.joules.items():
            joules[device] = joules.get(device, 0.0) + value
        for kind, count in part.tokens.items():
            tokens[kind] = tokens.get(kind, 0) + count
    return ImportedStage(
        parts[0].stage,
        joules,
        parts[0].phase,
        seconds=sum(part.seconds for part in parts),
        tokens=tokens,
        started_at=min((part.started_at for part in parts if part.started_at is not None), default=None),
        ended_at=max((part.ended_at for part in parts if part.ended_at is not None), default=None),
        peak_watts=max(part.peak_watts for part in parts),
    )
