"""A transition asked for again with its key is answered again and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from exporter_process import Exporter
from meter_rig import WATTS, Rig, in_threads

from joulemark.errors import InvalidField
from joulemark.ledger import idempotency
from joulemark.ledger.state import StageRequest

TEACHER = StageRequest("kd", "teacher", ttl_seconds=60)
STUDENT = StageRequest("kd", "student", ttl_seconds=60)


def windows(rig: Rig) -> int:
    record: Any = rig.meter.run_record("kd")
    return sum(stage["windows"] for stage in record["stages"])


def test_a_retry_gets_the_same_windows_and_changes_nothing(rig: Rig) -> None:
    rig.meter.begin(TEACHER, "a")
    rig.wait(1)
    first, ended = rig.meter.begin(STUDENT, "b")
    rig.wait(1)
    before = rig.samples()
    again, ended_again = rig.meter.begin(STUDENT, "b")
    assert again["id"] == first["id"]
    assert [x["id"] for x in ended_again] == [x["id"] for x in ended]
    assert ended_again[0]["state"] == "replaced"
    assert windows(rig) == 2
    assert rig.samples().keys() == before.keys()
    rig.wait(1)
    assert rig.joules()["kd", "student"] == pytest.approx(2 * 2 * WATTS, rel=0.1)


def test_a_late_retry_does_not_bring_back_what_was_switched_since(rig: Rig) -> None:
    first, _ = rig.meter.begin(TEACHER, "a")
    rig.meter.begin(STUDENT, "b")
    rig.wait(3)
    late, _ = rig.meter.begin(TEACHER, "a")
    assert (late["id"], late["state"]) == (first["id"], "replaced")
    assert [window["stage"] for window in rig.meter.active()] == ["student"]


def test_a_retry_may_come_after_a_kill(rig: Rig) -> None:
    first, _ = rig.meter.begin(TEACHER, "a")
    rig.restart()
    assert rig.meter.begin(TEACHER, "a")[0]["id"] == first["id"]
    assert windows(rig) == 1


def test_without_a_key_a_retry_books_no_joule_twice(rig: Rig) -> None:
    rig.meter.begin(TEACHER)
    rig.wait(1)
    rig.meter.begin(TEACHER)
    rig.wait(1)
    assert rig.joules()["kd", "teacher"] == pytest.approx(2 * 2 * WATTS, rel=0.06)
    assert windows(rig) == 2


def test_a_key_used_for_something_else_is_refused(rig: Rig) -> None:
    rig.meter.begin(TEACHER, "a")
    with pytest.raises(InvalidField, match="'a' was used for another request") as refused:
        rig.meter.begin(STUDENT, "a")
    assert refused.value.field == "Idempotency-Key"
    assert [window["stage"] for window in rig.meter.active()] == ["teacher"]


def test_only_the_latest_keys_are_remembered(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "REMEMBERED", 3)
    ids = [rig.meter.begin(TEACHER, key)[0]["id"] for key in "abcde"]
    rig.restart()
    assert len(rig.meter.ledger.state.answered) == 3
    assert rig.meter.begin(TEACHER, "e")[0]["id"] == ids[4]
    assert rig.meter.begin(TEACHER, "a")[0]["id"] != ids[0]


def test_many_retries_at_once_open_one_window(rig: Rig) -> None:
    ids: list[object] = []
    in_threads(*[lambda: ids.append(rig.meter.begin(TEACHER, "a")[0]["id"])] * 16)
    assert len(ids) == 16
    assert len(set(ids)) == 1
    assert windows(rig) == 1


def test_the_header_over_http(exporter: Exporter) -> None:
    body, headers = {"run": "kd", "stage": "teacher"}, {"Idempotency-Key": "3f6c"}
    first = exporter.http.put("/api/v1/stage", json=body, headers=headers)
    exporter.http.put("/api/v1/stage", json={"run": "kd", "stage": "student"})
    again = exporter.http.put("/api/v1/stage", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["id"] == first.json()["id"]
    other = exporter.http.put("/api/v1/stage", json={**body, "stage": "data"}, headers=headers)
    assert other.status_code == 422
    assert other.json()["field"] == "Idempotency-Key"
    for wrong in ("", "x" * 129):
        refused = exporter.http.put("/api/v1/stage", json=body, headers={"Idempotency-Key": wrong})
        assert (refused.status_code, refused.json()["field"]) == (422, "Idempotency-Key")
    parameters = exporter.http.get("/openapi.json").json()["paths"]["/api/v1/stage"]["put"]["parameters"]
    assert [(x["in"], x["name"], x["required"]) for x in parameters] == [("header", "Idempotency-Key", False)]
    assert [window["stage"] for window in exporter.http.get("/api/v1/stage").json()] == ["student"]
