"""What an experiment may say: every key, its type, its bounds and its default."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Pipeline = Literal["sft", "kd", "synthetic_sft"]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
# The only place where a list is one value and not an axis of a grid.
Names = Annotated[tuple[str, ...], Field(strict=False)]


class Section(BaseModel):
    """A part of the file; unknown keys are errors, and 'yes' is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Teacher(Section):
    """The model that is distilled: the shipped one's name, a folder, or a name on a model hub."""

    model: str
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    # For planning alone, where the model is not at hand: how many weights, in billions.
    parameters_billion: Annotated[float, Field(gt=0)] | None = None


class Student(Section):
    """Either the teacher's family cut to so many layers, or a model of its own with the teacher's tokeniser."""

    layers: Count | None = None
    model: str | None = None
    revision: str | None = None
    parameters_billion: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Student:
        if (self.layers is None) == (self.model is None):
            raise ValueError("give either layers (cut out of the teacher) or model (a folder or a hub name)")
        return self


class Data(Section):
    """Blocks of packed tokens; held-out blocks are never trained on.

    `source` is `python-documentation` (shipped with Python), a .jsonl file, or a data set on a hub (`name`, or
    `name:subset`). A row is `text`, or a conversation: `messages`, or `prompt` and `response`.
    """

    source: str = "python-documentation"
    split: str = "train"
    revision: str | None = None
    block_tokens: Annotated[int, Field(ge=8, le=131_072)] = 256
    train_blocks: Count = 96
    heldout_blocks: Count = 16
    loss_on: Literal["all", "responses"] = "all"
    shuffle_seed: Annotated[int, Field(ge=0)] = 0


class Prerun(Section):
    """How long the idle baseline is watched and the machine is warmed up, and what a busy GPU means."""

    idle_seconds: Seconds = 5.0
    burn_in_seconds: Seconds = 3.0
    on_busy: Literal["refuse", "warn"] = "refuse"
    busy_utilization: Annotated[float, Field(ge=0, le=1)] = 0.1


class LogitCache(Section):
    """How much of the teacher's distribution is kept per token, and how often it is put on disk."""

    top_k: Count = 64
    dtype: Literal["float16", "float32"] = "float16"
    blocks_per_shard: Count = 8
    batch_blocks: Count = 1
    # A cache made elsewhere: its folder. It is used only where it was made as this experiment asks.
    use: str | None = None


class Distillation(Section):
    """`alpha * CE + (1 - alpha) * T^2 * KL`."""

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 1.0


class Generation(Section):
    """What the teacher writes for `synthetic_sft`: one response to each prompt, by nucleus sampling."""

    prompts: Count = 64
    prompt_tokens: Count = 64
    max_new_tokens: Count = 192
    top_p: Share = 0.95
    temperature: Annotated[float, Field(ge=0)] = 1.0
    batch_prompts: Count = 16
    prompts_per_shard: Count = 64
    engine: Literal["auto", "transformers", "vllm"] = "auto"
    seed: Annotated[int, Field(ge=0)] = 0
    use: str | None = None


class EarlyStopping(Section):
    """Stop when the held-out loss has not fallen by more than `tolerance` for `patience` evaluations."""

    tolerance: Annotated[float, Field(ge=0)] = 2e-3
    patience: Count = 1


class Lora(Section):
    """Train low-rank additions (peft) and merge them into the student at the end."""

    rank: Count = 8
    alpha: Count = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: Names = ("q_proj", "k_proj", "v_proj", "o_proj")


class Training(Section):
    """The student's training; gradient accumulation follows from effective batch, micro batch and processes."""

    optimizer: Literal["adamw", "adafactor"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: Annotated[int, Field(ge=0)] = 5
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    effective_batch_blocks: Count = 2
    micro_batch_blocks: Count = 2
    epochs: Count = 1
    # bfloat16 keeps the weights themselves in 16 bits, mixed only computes in them; auto is mixed where a GPU can.
    precision: Literal["auto", "float32", "mixed", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
    evaluate_every_steps: Count | None = None
    save_every_steps: Count | None = None
    early_stopping: EarlyStopping | None = None
    lora: Lora | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _adds_up(self) -> Training:
        if self.effective_batch_blocks % self.micro_batch_blocks:
            raise ValueError(
                f"effective_batch_blocks ({self.effective_batch_blocks}) is not a multiple of micro_batch_blocks "
                f"({self.micro_batch_blocks})"
            )
        if self.early_stopping and not self.evaluate_every_steps:
            raise ValueError("early_stopping needs evaluate_every_steps: without evaluations there is nothing to see")
        return self


class Serving(Section):
    """The `serving` phase: so many sequences side by side, so many tokens each, all of them generated to the end."""

    sequences: Count = 8
    prompt_tokens: Count = 32
    warmup_tokens: Count = 4
    new_tokens: Count = 32


class Evaluation(Section):
    """Shipped tasks, or any that lm-eval knows by name where a hub is in reach; `limit` items of each."""

    tasks: Names = ("facts", "arithmetic", "instructions")
    limit: Count | None = None
    batch_size: Count = 16
    serving: Serving | None = Serving()


class Experiment(Section):
    """All of it, for one cell of a grid."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    pipelines: Annotated[tuple[Pipeline, ...], Field(strict=False, min_length=1)] = ("sft", "kd")
    # Whose joules per operation a plan may borrow before anything was measured here: see plan/rates.yaml.
    hardware: str | None = None
    teacher: Teacher
    student: Student = Student(layers=4)
    data: Data = Data()
    prerun: Prerun = Prerun()
    logit_cache: LogitCache = LogitCache()
    distillation: Distillation = Distillation()
    generation: Generation = Generation()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()

    @field_validator("teacher", mode="before")
    @classmethod
    def _name_alone_is_a_teacher(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @field_validator("student", mode="before")
    @classmethod
    def _name_alone_is_a_student(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Experiment:
        if len(set(self.pipelines)) != len(self.pipelines):
            raise ValueError("pipelines names one twice")
        if "synthetic_sft" in self.pipelines and self.generation.prompt_tokens >= self.data.block_tokens:
            raise ValueError(
                f"generation.prompt_tokens ({self.generation.prompt_tokens}) must be less than data.block_tokens "
                f"({self.data.block_tokens}): a prompt is the opening of a block"
            )
        return self
