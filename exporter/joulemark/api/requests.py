"""What the calls take: one model for each body, strict, an unknown field is an error that names it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter

from .. import names
from .accepted import PRINTABLE


def _whole(value: object) -> object:
    """3.0 is a whole number to JSON; true and "3" are none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _name(key: str) -> str:
    return TypeAdapter(Name).validate_python(key)


Text = Annotated[str, Field(max_length=256, pattern=PRINTABLE)]
Name = Annotated[str, Field(min_length=1, max_length=256, pattern=PRINTABLE)]
# As a key of a mapping: pydantic would write its pattern as one of some keys, not of all.
Key = Annotated[str, AfterValidator(_name)]
KEYS: dict[str, JsonValue] = {"propertyNames": {"minLength": 1, "maxLength": 256, "pattern": PRINTABLE}}
Run = Annotated[str, AfterValidator(names.check_run), Field(json_schema_extra={"pattern": names.anchored(names.RUN)})]
Stage = Annotated[
    str,
    AfterValidator(names.check_stage),
    Field(json_schema_extra={"pattern": names.anchored(names.STAGE), "not": {"const": names.UNATTRIBUTED}}),
]
Phase = Annotated[
    str,
    AfterValidator(names.check_phase),
    Field(json_schema_extra={"pattern": f"^$|{names.anchored(names.PHASE)}"}),
]
Benchmark = Annotated[
    str, AfterValidator(names.check_benchmark), Field(json_schema_extra={"pattern": names.anchored(names.BENCHMARK)})
]
Kind = Annotated[
    str, AfterValidator(names.check_token_kind), Field(json_schema_extra={"enum": list(names.TOKEN_KINDS)})
]
Count = Annotated[int, Field(ge=0, le=2**53), BeforeValidator(_whole)]
Score = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", strict=True)


class StageBody(Body):
    """`PUT /stage`."""

    run: Run = Field(description="the run; it is made when it is new", examples=["kd-1b"])
    stage: Stage = Field(description="prerun, data, teacher, student, eval, or your own", examples=["teacher"])
    phase: Phase = Field("", description="says more", examples=["logit_caching"])
    devices: Annotated[list[Name], Field(min_length=1, max_length=256)] | None = Field(
        None, description="names or uuids of devices; all when left out", examples=[["gpu0"]]
    )
    ttl_seconds: Annotated[float, Field(ge=1, le=86_400)] | None = Field(
        None, description="lease: the window expires unless a heartbeat renews it; none when left out"
    )
    share: bool = Field(False, description="share the devices with windows that say so too; split equally and marked")
    nest: bool = Field(False, description="suspend this run's window instead of ending it")


class TokensBody(Body):
    """Cumulative token counts by kind."""

    tokens: dict[Kind, Count] = Field(
        default_factory=dict,
        description="cumulative counts, so that a repeated call adds nothing",
        examples=[{"cached": 4096}],
    )


class EndBody(TokensBody):
    """`DELETE /stage/{id}`."""

    failed: bool = Field(False, description="what the stage did has failed: its joules are kept, its state says so")


class RunBody(Body):
    """`PUT /runs/{run}`; what is left out stays as it was."""

    pipeline: Text | None = Field(None, examples=["kd"])
    student: Text | None = None
    teacher: Text | None = None
    dataset: Text | None = None
    seed: Annotated[int, Field(ge=-(2**53), le=2**53), BeforeValidator(_whole)] | None = None
    baseline: Text | None = Field(None, description="the run without distillation to compare with")
    reference: Text | None = Field(None, description="the run that measured the reference; the teacher when left out")
    idle_watts: (
        Annotated[dict[Key, Annotated[float, Field(ge=0, le=1e6)]], Field(max_length=256, json_schema_extra=KEYS)]
        | None
    ) = Field(None, description="the prerun baseline in watts by device")
    labels: Annotated[dict[Key, Text], Field(max_length=32, json_schema_extra=KEYS)] | None = Field(
        None, description="anything else"
    )


class ScoreBody(Body):
    """`POST /runs/{run}/scores`."""

    benchmark: Benchmark = Field(examples=["gsm8k"])
    score: Score = Field(examples=[0.41])
    reference: Score | None = Field(None, description="the teacher's score")
    n: Annotated[int, Field(ge=1, le=2**53), BeforeValidator(_whole)] | None = Field(
        None, description="number of items"
    )
    stderr: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)] | None = Field(
        None, description="the score's standard error over items"
    )


class ArtifactBody(Body):
    """`POST /runs/{run}/artifacts`."""

    artifact: Name = Field(description="its name, best its content's hash", examples=["sha256:9f86d08"])
    kind: Name = Field(examples=["logit_cache"])
    role: Literal["produced", "consumed"]
