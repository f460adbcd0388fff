"""Labelled containers are booked from start to exit, whatever is missed, restarted or in the way meanwhile."""

from __future__ import annotations

import logging
import threading

import pytest
from meter_rig import WATTS
from watched import Watched

# The SDK leaves a socket that could not connect to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning")

TEACHER = {"joulemark.run": "kd", "joulemark.stage": "teacher", "joulemark.phase": "logit_caching"}
STUDENT = {"joulemark.run": "kd", "joulemark.stage": "student"}
OTHER = {"joulemark.run": "other", "joulemark.stage": "teacher"}
BOTH = 2 * WATTS
# So seldom that a test which passes has seen its events.
NEVER = 600.0


def near(joules: float) -> object:
    """Within what two ticks of the counters at both ends may hide."""
    return pytest.approx(joules, abs=0.2 * BOTH)


@pytest.mark.parametrize("end", ["exit", "remove"])
def test_a_container_is_booked_from_its_start_to_its_exit(watched: Watched, end: str) -> None:
    watched.start(NEVER)
    container = watched.engine.run(TEACHER)
    watched.until_active(("kd", "teacher", "active"))
    watched.rig.wait(3.0)
    getattr(watched.engine, end)(container)
    watched.until_active()
    watched.rig.wait(2.0)
    record = watched.rig.meter.run_record("kd")
    assert [(s["stage"], s["phase"]) for s in record["stages"]] == [("teacher", "logit_caching")]  # type: ignore[attr-defined]
    assert watched.rig.joules()["kd", "teacher"] == near(3 * BOTH)


def test_one_that_runs_already_is_booked_and_one_without_labels_is_not(watched: Watched) -> None:
    watched.engine.run({})
    watched.engine.run({"joulemark.stage": "teacher"})
    watched.engine.run(TEACHER)
    watched.start()
    watched.until_active(("kd", "teacher", "active"))
    watched.listed_again()
    assert (watched.state("booked"), watched.state("refused")) == (1, 0)


def test_missed_events_are_made_up_for_by_the_next_listing(watched: Watched) -> None:
    watched.start()
    watched.engine.silent = True
    container = watched.engine.run(TEACHER)
    watched.until_active(("kd", "teacher", "active"))
    watched.engine.exit(container)
    watched.until_active()


def test_events_twice_or_late_or_of_nobody_change_nothing(watched: Watched) -> None:
    watched.start(NEVER)
    container = watched.engine.run(TEACHER)
    watched.engine.tell(container, "start")
    watched.engine.tell("f" * 64, "die")
    watched.engine.tell(container, "die")
    watched.until_active(("kd", "teacher", "active"))
    watched.engine.exit(container)
    watched.engine.tell(container, "start")
    watched.until_active()
    last = watched.engine.run(STUDENT)
    watched.until_active(("kd", "student", "active"))
    watched.engine.remove(last)
    watched.until_active()
    assert len(watched.rig.meter.windows(10)) == 2


def test_while_paused_nothing_is_booked_and_afterwards_the_same_stage_goes_on(watched: Watched) -> None:
    watched.start(NEVER)
    container = watched.engine.run(TEACHER)
    watched.until_active(("kd", "teacher", "active"))
    watched.rig.wait(1.0)
    watched.engine.pause(container)
    watched.until_active()
    watched.rig.wait(5.0)
    watched.engine.pause(container, paused=False)
    watched.until_active(("kd", "teacher", "active"))
    watched.rig.wait(1.0)
    assert watched.rig.joules()["kd", "teacher"] == near(2 * BOTH)
    assert watched.rig.joules()["", "unattributed"] == near(5 * BOTH)


def test_a_restarted_container_is_booked_again(watched: Watched) -> None:
    watched.start(NEVER)
    container = watched.engine.run(TEACHER)
    watched.until_active(("kd", "teacher", "active"))
    watched.engine.exit(container)
    watched.until_active()
    watched.engine.restart(container)
    watched.until_active(("kd", "teacher", "active"))


def test_an_engine_restart_ends_what_died_with_it_and_keeps_what_lived_on(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    dies = watched.engine.run({**OTHER, "joulemark.devices": "gpu0"})
    watched.engine.run({**TEACHER, "joulemark.devices": "gpu1"})
    watched.start()
    watched.until(lambda: len(watched.active()) == 2)
    lives = {str(w["id"]) for w in watched.rig.meter.active() if w["run"] == "kd"}
    watched.engine.down()
    watched.until(lambda: watched.state("up") == 0)
    watched.engine.exit(dies)
    watched.engine.up()
    watched.until_active(("kd", "teacher", "active"))
    assert {str(w["id"]) for w in watched.rig.meter.active()} == lives
    away = [line for line in caplog.messages if "no container engine" in line]
    assert len(away) <= 2, "an engine that is away is no news every time that it is tried"


def test_while_the_engine_is_away_a_window_lives_as_long_as_its_lease(watched: Watched) -> None:
    watched.engine.run(TEACHER)
    watched.start()
    watched.until_active(("kd", "teacher", "active"))
    watched.engine.down()
    watched.until(lambda: watched.state("up") == 0)
    watched.rig.wait(100.0)
    assert watched.active() == []
    assert watched.rig.joules()["kd", "teacher"] == near(60 * BOTH)
    watched.engine.up()
    watched.until_active(("kd", "teacher", "active"))


def test_the_lease_is_renewed_while_the_engine_vouches_for_the_container(watched: Watched) -> None:
    watched.engine.run(TEACHER)
    watched.start()
    watched.until_active(("kd", "teacher", "active"))
    for _ in range(4):
        watched.rig.wait(30.0)
        watched.listed_again()
    assert watched.active() == [("kd", "teacher", "active")]
    assert len(watched.rig.meter.windows(10)) == 1


def test_a_restarted_exporter_goes_on_with_the_same_window(watched: Watched) -> None:
    watched.engine.run(TEACHER)
    watched.start()
    watched.until_active(("kd", "teacher", "active"))
    before = [window["id"] for window in watched.rig.meter.active()]
    watched.stop()
    watched.rig.restart()
    watched.rig.wait(2.0)
    watched.start()
    watched.listed_again()
    assert [window["id"] for window in watched.rig.meter.active()] == before
    assert watched.rig.joules()["kd", "teacher"] == near(2 * BOTH)


def test_a_container_that_stopped_while_the_exporter_was_away_is_ended_at_its_start(watched: Watched) -> None:
    container = watched.engine.run(TEACHER)
    watched.start()
    watched.until_active(("kd", "teacher", "active"))
    watched.stop()
    watched.engine.exit(container)
    watched.rig.restart()
    watched.start()
    watched.until_active()


def test_a_held_device_is_refused_once_in_the_log_and_booked_when_it_is_free(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    by_hand = watched.rig.begin("by-hand", "student")
    watched.start()
    watched.engine.run(TEACHER, name="cache-logits")
    watched.until(lambda: watched.state("refused") == 1)
    watched.listed_again()
    refusals = [line for line in caplog.messages if "not booked" in line]
    assert len(refusals) == 1
    assert "cache-logits" in refusals[0]
    assert "held by run 'by-hand'" in refusals[0]
    watched.rig.meter.end(by_hand, {})
    watched.until_active(("kd", "teacher", "active"))
    watched.until(lambda: (watched.state("refused"), watched.state("booked")) == (0, 1))


def test_two_containers_may_share_when_both_say_so(watched: Watched) -> None:
    watched.start()
    watched.engine.run({**TEACHER, "joulemark.share": "true"})
    watched.engine.run({**OTHER, "joulemark.share": "true"})
    watched.until(lambda: watched.state("booked") == 2)
    watched.rig.wait(2.0)
    assert watched.rig.joules()["kd", "teacher"] == pytest.approx(watched.rig.joules()["other", "teacher"])


def test_a_second_container_of_the_run_lies_inside_the_first_and_outlives_it(watched: Watched) -> None:
    watched.start()
    first = watched.engine.run(TEACHER)
    watched.until_active(("kd", "teacher", "active"))
    second = watched.engine.run(STUDENT)
    watched.until_active(("kd", "teacher", "suspended"), ("kd", "student", "active"))
    watched.engine.exit(first)
    watched.until_active(("kd", "student", "active"))
    watched.rig.wait(1.0)
    assert watched.rig.joules()["kd", "student"] == near(BOTH)
    watched.engine.exit(second)
    watched.until_active()


def test_a_job_that_tells_its_stages_itself_comes_first(watched: Watched) -> None:
    watched.engine.run(TEACHER)
    watched.start()
    watched.until_active(("kd", "teacher", "active"))
    own = watched.rig.begin("kd", "eval")
    watched.until(lambda: watched.state("stepped_back") == 1)
    watched.listed_again()
    assert watched.active() == [("kd", "eval", "active")]
    watched.rig.meter.end(own, {})
    watched.until_active(("kd", "teacher", "active"))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"joulemark.run": "kd"}, "label joulemark.stage is missing"),
        ({**TEACHER, "joulemark.stage": "Teacher!"}, "stage name 'Teacher!' is not allowed"),
        ({**TEACHER, "joulemark.stage": "unattributed"}, "reserved"),
        ({**TEACHER, "joulemark.run": ""}, "run name '' is not allowed"),
        ({**TEACHER, "joulemark.devices": "gpu7"}, "device 'gpu7' is not known"),
        ({**TEACHER, "joulemark.devices": "MIG-0b"}, "MIG"),
    ],
)
def test_what_cannot_be_booked_is_said_once(
    watched: Watched, caplog: pytest.LogCaptureFixture, labels: dict[str, str], words: str
) -> None:
    watched.start()
    watched.engine.run(labels, name="wrong")
    watched.until(lambda: watched.state("refused") == 1)
    watched.listed_again()
    assert [line for line in caplog.messages if words in line and "wrong" in line] == [
        line for line in caplog.messages if "not booked" in line
    ]
    assert len([line for line in caplog.messages if "not booked" in line]) == 1
    assert watched.active() == []


def test_a_proxy_that_forbids_is_named_with_what_it_must_allow(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.engine.forbidden = "events"
    thread = threading.Thread(target=watched.start)
    thread.start()
    watched.until(lambda: any("must allow GET of /version, /events and /containers" in x for x in caplog.messages))
    watched.engine.forbidden = ""
    thread.join(30)
    assert watched.state("up") == 1
