"""The runs that are in memory and on /metrics; all others are on disk alone, and come back when they are named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fractions import Fraction

from ..errors import LimitReached, RunInUse, UnknownName
from ..names import check_benchmark, check_run
from .changes import Changes
from .snapshot import Artifact, Score
from .state import Run, State
from .windows import SeriesKey, Totals

# So many finished runs wait for a scrape to see their final values; then the oldest leaves all the same.
UNSEEN_RUNS = 100
# What one run may put on /metrics.
STAGES_PER_RUN = 200
FACTS_PER_RUN = 256
IDLE_DEVICES = 64

Recall = Callable[[str], tuple[Run, dict[SeriesKey, Totals]] | None]


class KeptRuns:
    """Which runs are shown, and what is said of them; `recall` reads a run that is on disk alone."""

    def __init__(self, state: State, changes: Changes, recall: Recall, origin: str) -> None:
        self._state = state
        self._changes = changes
        self._recall = recall
        self._origin = origin
        self._seen_picture = 0

    def run(self, name: str, wall: float) -> Run:
        """The run of this name, made when it is new, marked as active now."""
        run = self._state.runs.get(check_run(name))
        if run is None:
            run = self._come_back(name) or Run(name, wall, wall, self._origin)
            self._state.runs[name] = run
        run.last_active_at = max(run.last_active_at, wall)
        self._changes.of_run(name)
        return run

    def refuse_stage(self, key: SeriesKey) -> None:
        """Raise LimitReached when a run has as many stages as may be shown and this is another one."""
        known: set[SeriesKey] = {k for k in self._state.series if k.run == key.run}
        if key.run not in self._state.runs:
            known = set((self._recalled(key.run) or (None, {}))[1])
        if key not in known and len(known) >= STAGES_PER_RUN:
            raise LimitReached(
                f"run {key.run!r} has {STAGES_PER_RUN} stages and phases already",
                field="stage",
                remedy="go on with a stage that it has, or with a new run; counters such as steps belong in no name",
            )

    # -- what is said of a run -----------------------------------------------------------------------------

    def declare(self, name: str, fields: Mapping[str, object], wall: float) -> None:
        """Say what a run is; fields given again replace the earlier ones."""
        idle = fields.get("idle_watts")
        if isinstance(idle, Mapping) and len(idle) > IDLE_DEVICES:
            raise LimitReached(
                f"idle_watts names {len(idle)} devices", field="idle_watts", remedy=f"name {IDLE_DEVICES} at most"
            )
        self.run(name, wall).declared.update(fields)

    def score(self, name: str, score: Score, wall: float) -> None:
        """Keep a benchmark score; a later one of the same benchmark replaces it."""
        check_benchmark(score.benchmark)
        self._refuse_fact(self._known(name).scores, score.benchmark, "benchmark")
        self.run(name, wall).scores[score.benchmark] = score
        self._changes.facts.add(name)

    def artifact(self, name: str, artifact: Artifact, wall: float) -> None:
        """Keep that the run produced or consumed an artifact."""
        key = artifact.artifact, artifact.role
        self._refuse_fact(self._known(name).artifacts, key, "artifact")
        self.run(name, wall).artifacts[key] = artifact
        self._changes.facts.add(name)

    # -- leaving -------------------------------------------------------------------------------------------

    def saw(self, picture: int) -> None:
        """A scrape has got this picture."""
        self._seen_picture = max(self._seen_picture, picture)

    def forget(self, keep: int) -> None:
        """Let all but the newest runs leave memory, once a scrape has seen their final values.

        To be called when all changes have been taken away to disk.
        """
        held = {window.key.run for window in self._state.windows.values()}
        by_age = sorted(self._state.runs.values(), key=lambda run: run.last_active_at, reverse=True)
        waiting = 0
        for run in by_age[keep:]:
            if run.name in held:
                continue
            unseen = run.changed_in > self._seen_picture
            if unseen and waiting < UNSEEN_RUNS:
                waiting += 1
                continue
            self._state.counts.runs_unseen += unseen
            self._leave(run)

    def prune(self, name: str) -> None:
        """Forget a run for ever; its joules stay in the totals of its devices, as retired."""
        if any(window.key.run == name for window in self._state.windows.values()):
            raise RunInUse(
                f"run {name!r} has a window that is open or not settled", field="run", remedy="end it first, then again"
            )
        kept = self._state.runs.pop(name, None)
        if kept is not None:
            series = {key: self._state.series.pop(key) for key in [k for k in self._state.series if k.run == name]}
            for totals in series.values():
                self._state.retire(totals)
        else:
            recalled = self._recalled(name)
            if recalled is None:
                raise UnknownName(f"no run {name!r}", field="run", remedy="GET /api/v1/runs lists the runs")
            series = recalled[1]
        for totals in series.values():
            for device, joules in totals.joules.items():
                self._state.pruned[device] = self._state.pruned.get(device, Fraction(0)) + Fraction(joules)
        self._changes.forget(name, {device for totals in series.values() for device in totals.joules})

    # -- inside --------------------------------------------------------------------------------------------

    def _leave(self, run: Run) -> None:
        del self._state.runs[run.name]
        for key in [key for key in self._state.series if key.run == run.name]:
            self._state.retire(self._state.series.pop(key))
        run.retired = True
        self._changes.left[run.name] = run

    def _recalled(self, name: str) -> tuple[Run, dict[SeriesKey, Totals]] | None:
        return None if name in self._changes.forgotten else self._recall(name)

    def _come_back(self, name: str) -> Run | None:
        """A run that left memory goes on from its totals on disk: no counter may start again at 0."""
        recalled = self._recalled(name)
        if recalled is None:
            return None
        run, series = recalled
        run.retired = False
        self._changes.left.pop(name, None)
        self._state.runs[name] = run
        self._state.series.update(series)
        for key, totals in series.items():
            self._state.retire(totals, sign=-1)
            self._changes.of_series(key)
        # `retired` has become less: as a counter may not, it goes on under another name.
        self._state.counts.comebacks += bool(series)
        return run

    def _known(self, name: str) -> Run:
        """A run as it is known, for looking only."""
        known = self._state.runs.get(check_run(name))
        if known is None:
            recalled = self._recalled(name)
            known = recalled[0] if recalled else Run(name, 0.0, 0.0, self._origin)
        return known

    def _refuse_fact(self, known: Collection[object], key: object, field: str) -> None:
        if key not in known and len(known) >= FACTS_PER_RUN:
            raise LimitReached(
                f"the run has {FACTS_PER_RUN} of them already",
                field=field,
                remedy="replace one, or use a new run",
            )
