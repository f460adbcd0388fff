"""Transitions, heartbeats, ends, reads and scrapes from many threads at once: one order, not a joule more or less."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from counters import gone_down
from hypothesis import given, settings
from hypothesis import strategies as st
from meter_rig import WATTS, Rig, in_threads, residual

from joulemark.errors import RequestError
from joulemark.exposition.page import Page
from joulemark.ledger.state import StageRequest
from joulemark.sources.replay import Trace

DEVICES = ("gpu0", "gpu1", "gpu2")
RUNS = ("a", "b", "c")
STAGES = ("data", "teacher", "student")

begins = st.tuples(
    st.just("begin"),
    st.builds(
        StageRequest,
        run=st.sampled_from(RUNS),
        stage=st.sampled_from(STAGES),
        devices=st.none() | st.lists(st.sampled_from(DEVICES), min_size=1, max_size=3, unique=True),
        ttl_seconds=st.sampled_from([None, 1.0, 60.0]),
        share=st.booleans(),
        nest=st.booleans(),
    ),
)
steps = st.one_of(
    begins,
    st.tuples(st.just("heartbeat"), st.integers(0, 50)),
    st.tuples(st.just("end"), st.integers(0, 50)),
    st.tuples(st.sampled_from(["tick", "read", "scrape", "keep_up", "runs", "score"]), st.just(0)),
)
plans = st.lists(st.lists(steps, min_size=3, max_size=14), min_size=2, max_size=5)


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Actor:
    """One of several callers: carries out its plan and keeps what it was told."""

    def __init__(self, rig: Rig, ticking: threading.Lock) -> None:
        self.rig = rig
        self.page = Page("0.0.0")
        self.ticking = ticking
        self.opened: list[str] = []
        self.replaced: list[str] = []
        self.tokens: Counter[str] = Counter()
        self.scraped: dict[str, float] = {}

    def carry_out(self, plan: list[tuple[str, Any]]) -> None:
        for what, how in plan:
            try:
                getattr(self, f"do_{what}")(how)
            except RequestError:
                # A device held by another run: that is an answer.
                continue

    def do_begin(self, request: StageRequest) -> None:
        window, ended = self.rig.meter.begin(request)
        assert (window["run"], window["stage"], window["state"]) == (request.run, request.stage, "active")
        self.opened.append(str(window["id"]))
        self.replaced += [str(x["id"]) for x in ended]

    def do_heartbeat(self, count: int) -> None:
        if self.opened:
            window = self.opened[count % len(self.opened)]
            kept: Any = self.rig.meter.heartbeat(window, {"trained": count})["tokens"]
            assert kept["trained"] >= count
            self.tokens[window] = max(self.tokens[window], count)

    def do_end(self, place: int) -> None:
        if self.opened:
            window = self.opened[place % len(self.opened)]
            assert self.rig.meter.end(window, {})["state"] in ("ended", "replaced", "expired")

    def do_tick(self, _: int) -> None:
        with self.ticking:
            self.rig.clock.advance(0.1)
        self.rig.meter.sample()

    def do_read(self, _: int) -> None:
        self.rig.meter.active()

    def do_runs(self, _: int) -> None:
        self.rig.meter.runs()

    def do_keep_up(self, _: int) -> None:
        self.rig.meter.keep_up()

    def do_score(self, _: int) -> None:
        self.rig.meter.score("a", "gsm8k", 0.5, None, None)

    def do_scrape(self, _: int) -> None:
        snapshot = self.rig.scrape()
        assert residual(snapshot) < 1e-6
        rows = (x.rpartition(" ") for x in self.page.text(snapshot, openmetrics=False).decode().splitlines())
        samples = {name: float(value) for name, _, value in rows if not name.startswith("#")}
        assert gone_down(self.scraped, samples) == []
        self.scraped = samples


@settings(max_examples=40, deadline=None)
@given(plans=plans)
def test_any_interleaving_is_one_order_in_which_every_joule_has_one_place(plans: list[list[tuple[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder), {name: Trace(((1.0, WATTS),)) for name in DEVICES})
        ticking = threading.Lock()
        actors = [Actor(rig, ticking) for _ in plans]
        in_threads(*(partial(actor.carry_out, plan) for actor, plan in zip(actors, plans, strict=True)))
        check_order(rig, actors)
        began = rig.clock.now
        rig.wait(3)
        joules = rig.joules()
        assert residual(rig.meter.snapshot()) < 1e-6
        # And nothing but the truth: what the counters have shown is what is in the ledger.
        assert sum(joules.values()) == pytest.approx((rig.clock.now - 1000.0) * WATTS * len(DEVICES), abs=1)
        assert rig.clock.now > began
        before = rig.samples()
        rig.restart()
        assert gone_down(before, rig.samples()) == []
        check_order(rig, actors)
        rig.crash()


def check_order(rig: Rig, actors: list[Actor]) -> None:
    """Every window that was answered is there, was ended once at most, and holds its devices alone or shared."""
    with rig.meter._store.reading() as db:
        windows = {row["id"]: row for row in db.execute("SELECT * FROM window")}
    assert set(windows) == {window for actor in actors for window in actor.opened}
    replaced = [window for actor in actors for window in actor.replaced]
    assert len(replaced) == len(set(replaced)), "a window is replaced by one transition only"
    assert all(windows[window]["state"] == "replaced" for window in replaced)
    for device in rig.meter.snapshot().devices:
        # A window that nests on some of another's devices holds those in its place.
        held = [windows[window] for window in rig.meter.ledger.state.accounts[device.device.key].hand_overs.current]
        assert len({window["run"] for window in held}) == len(held), "a run holds a device by one window"
        assert len(held) == 1 or all(window["shared"] for window in held)
    for actor in actors:
        for window_id, count in actor.tokens.items():
            summary: Any = rig.meter.heartbeat(window_id, {})
            assert summary["tokens"].get("trained", 0) >= count


def test_one_transition_at_a_time_from_many_threads(rig: Rig) -> None:
    """Sixteen callers switch one run's stage: every window but the last is replaced, each exactly once."""
    actors = [Actor(rig, threading.Lock()) for _ in range(16)]
    plan = [("begin", StageRequest("kd", stage)) for stage in STAGES * 4]
    in_threads(*(partial(actor.carry_out, plan) for actor in actors))
    opened = [window for actor in actors for window in actor.opened]
    replaced = [window for actor in actors for window in actor.replaced]
    assert len(opened) == 16 * 12
    assert len(replaced) == len(set(replaced)) == len(opened) - 1
    (active,) = rig.meter.active()
    assert {active["id"]} == set(opened) - set(replaced)
