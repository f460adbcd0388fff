"""Whatever containers do, and however it is seen, each run is booked what was used while its container ran."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meter_rig import WATTS, Rig

from joulemark.containers.bookings import ContainerBookings
from joulemark.containers.container import Container

# Two containers that never meet: each has a GPU of its own.
NAMES = ("a", "b")
STEPS = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(["start", "stop", "pause", "gone"]),
    st.sampled_from(["event", "list", "event_twice", "list_of_restarted_exporter"]),
)


def container(name: str, *, running: bool) -> Container:
    gpu = f"gpu{NAMES.index(name)}"
    labels = {"joulemark.run": f"run-{name}", "joulemark.stage": "student", "joulemark.devices": gpu}
    return Container(id=name * 64, name=name, running=running, labels=labels)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=12))
def test_each_run_gets_what_its_container_used_while_it_ran(steps: list[tuple[str, str, str]]) -> None:
    with TemporaryDirectory() as folder:
        rig = Rig(Path(folder))
        bookings = ContainerBookings(rig.meter)
        known: dict[str, Container] = {}
        seconds = dict.fromkeys(NAMES, 0.0)
        for name, what, how in steps:
            known[name] = container(name, running=what == "start")
            if what == "gone":
                del known[name]
            if how == "list_of_restarted_exporter":
                rig.restart()
                bookings = ContainerBookings(rig.meter)
            for _ in range(2 if how == "event_twice" else 1):
                if how.startswith("event"):
                    bookings.see(name * 64, known.get(name))
                else:
                    bookings.see_all(known.values())
            bookings.renew()
            rig.wait(2.0)
            for running in NAMES:
                seconds[running] += 2.0 * (running in known and known[running].running)
        windows = rig.meter.active()
        assert {w["run"] for w in windows} == {f"run-{n}" for n in NAMES if n in known and known[n].running}
        bookings.see_all([])
        rig.wait(1.0)
        for name in NAMES:
            booked = rig.joules().get((f"run-{name}", "student"), 0.0)
            # Each end of a window lies within a tick of the counter.
            assert booked == pytest.approx(WATTS * seconds[name], abs=0.2 * WATTS * len(steps))
        assert rig.residual() < 1e-6
        rig.crash()
