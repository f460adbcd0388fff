"""Flags over environment over file over defaults, all from one table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from joulemark.errors import SettingsError
from joulemark.settings import TABLE, Setting, load_settings


def test_it_works_empty() -> None:
    settings = load_settings({}, {"XDG_STATE_HOME": "/s"}, None)
    assert [str(address) for address in settings.listen_addresses] == ["127.0.0.1:9871"]
    assert settings.sample_interval == 0.1


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "c.yml"
    config.write_text("source: replay\nkeep-runs: 5\nsample-interval: 200ms\n")
    environment = {"JOULEMARK_KEEP_RUNS": "7", "JOULEMARK_SAMPLE_INTERVAL": "0.3s"}
    settings = load_settings({"sample_interval": "0.5"}, environment, config)
    assert (settings.source, settings.keep_runs, settings.sample_interval) == ("replay", 7, 0.5)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.flag)
def test_every_setting_can_be_given_by_environment(row: Setting) -> None:
    text = "/x" if row.parse is Path else "users" if row.parse is str else "!://"
    if row.parse is Path or row.field == "socket_group":
        assert str(getattr(load_settings({}, {row.variable: text}, None), row.field)) == text
    else:
        with pytest.raises(SettingsError, match=re.escape(row.variable) + "|" + re.escape(row.flag)):
            load_settings({}, {row.variable: text}, None)


def test_a_setting_of_several_values_is_a_list_in_yaml_and_commas_elsewhere(tmp_path: Path) -> None:
    config = tmp_path / "c.yml"
    config.write_text("web.listen-address: ['127.0.0.1:1', 'unix:/run/a.sock']\n")
    found = load_settings({}, {"JOULEMARK_WEB_ALLOWED_HOSTS": "a.example.org, B"}, config)
    assert [str(address) for address in found.listen_addresses] == ["127.0.0.1:1", "unix:/run/a.sock"]
    assert found.allowed_hosts == ("a.example.org", "b")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "grafana:3000", "http://", "http://user:secret@grafana"])
def test_only_web_addresses_without_a_login_are_linked(url: str) -> None:
    with pytest.raises(SettingsError, match=r"web\.grafana-url|GRAFANA_URL"):
        load_settings({"grafana_url": url}, {}, None)
