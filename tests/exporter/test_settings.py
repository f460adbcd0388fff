"""Flags over environment over file over defaults, all from one table."""

from __future__ import annotations

from pathlib import Path

import pytest

from joulemark.errors import SettingsError
from joulemark.settings import TABLE, Setting, load_settings


def test_it_works_empty() -> None:
    settings = load_settings({}, {"XDG_STATE_HOME": "/s"}, None)
    assert settings.listen_address == "127.0.0.1:9871"
    assert settings.sample_interval == 0.1


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "c.yml"
    config.write_text("source: replay\nkeep-runs: 5\nsample-interval: 200ms\n")
    environment = {"JOULEMARK_KEEP_RUNS": "7", "JOULEMARK_SAMPLE_INTERVAL": "0.3s"}
    settings = load_settings({"sample_interval": "0.5"}, environment, config)
    assert (settings.source, settings.keep_runs, settings.sample_interval) == ("replay", 7, 0.5)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.flag)
def test_every_setting_can_be_given_by_environment(row: Setting) -> None:
    if row.parse is Path:
        assert getattr(load_settings({}, {row.variable: "/x"}, None), row.field) == Path("/x")
    else:
        with pytest.raises(SettingsError):
            load_settings({}, {row.variable: "nonsense"}, None)
