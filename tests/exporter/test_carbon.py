"""Grid intensities: the shipped table, a table of one's own, and what is said when a zone is not there."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from joulemark.carbon import SHIPPED, Intensity, intensity_of, zones
from joulemark.errors import SettingsError
from joulemark.factors import Factors
from joulemark.settings import load_settings


def factors(**settings: str) -> Factors:
    return load_settings(settings, {"XDG_STATE_HOME": "/s"}, None).factors


def test_every_shipped_figure_has_a_year_a_source_and_a_possible_value() -> None:
    lines = [line for line in SHIPPED.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    assert len(rows) > 80
    for row in rows:
        assert row["source"] == f"Ember {row['year']}"
        assert 2020 <= int(row["year"]) <= 2026
        assert 0 < float(row["grams_per_kwh"]) < 1000, row
        assert len(row["zone"]) == 2 or row["zone"] == "WORLD"
    assert len({row["zone"] for row in rows}) == len(rows) == len(zones())


@pytest.mark.parametrize("name", ["DE", "de", "DEU", " De "])
def test_a_country_is_known_by_its_two_and_three_letters(name: str) -> None:
    assert intensity_of(name) == Intensity("DE", 344.14, "Ember 2024")


def test_a_name_gets_the_code_as_an_answer_and_nonsense_gets_a_choice() -> None:
    with pytest.raises(SettingsError, match="did you mean DE"):
        intensity_of("germany")
    with pytest.raises(SettingsError, match=r"and \d+ more; or give the figure itself by --carbon.grams-per-kwh"):
        intensity_of("QQQQ")


def test_a_table_of_ones_own_takes_the_shipped_ones_place(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("# what our utility told us\nzone,grams_per_kwh,source\nhall-2,12.5,utility 2026\n")
    settings = {"carbon_zone": "hall-2", "carbon_file": str(table), "pue": "1.2"}
    assert factors(**settings) == Factors(1.2, Intensity("hall-2", 12.5, "utility 2026"))
    with pytest.raises(SettingsError, match=r"'DE' is not in mine.csv: known are hall-2"):
        factors(carbon_zone="DE", carbon_file=str(table))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("zone,grams\nDE,1\n", "lacks the column grams_per_kwh, source"),
        ("zone,grams_per_kwh,source\nDE,many,x\n", "needs grams_per_kwh of 0 or more and a source"),
        ("zone,grams_per_kwh,source\nDE,-1,x\n", "needs grams_per_kwh of 0 or more and a source"),
        ("zone,grams_per_kwh,source\nDE,nan,x\n", "needs grams_per_kwh of 0 or more and a source"),
        ("zone,grams_per_kwh,source\nDE,344,\n", "a figure without one cannot be published"),
    ],
)
def test_a_table_that_cannot_be_used_is_named_with_its_fault(tmp_path: Path, text: str, complaint: str) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(text)
    with pytest.raises(SettingsError, match=complaint):
        factors(carbon_zone="DE", carbon_file=str(table))


def test_a_figure_given_by_hand_says_that_it_was_configured() -> None:
    by_hand = factors(carbon_grams_per_kwh="42", carbon_zone="our roof")
    assert by_hand == Factors(1.0, Intensity("our roof", 42.0, "configured"))
    assert factors() == Factors(1.0, None, None, None)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"pue": "0.9"}, "--pue: 0.9 is not possible; accepted: 1 to 10"),
        ({"price_per_kwh": "0.3"}, "--price.currency"),
        ({"price_currency": "EUR"}, "--price.currency"),
        ({"price_per_kwh": "0.3", "price_currency": "€"}, "1 to 8 letters"),
        ({"carbon_grams_per_kwh": "-1"}, "0 to 10000"),
        ({"carbon_zone": "Mordor"}, "--carbon.zone"),
        ({"carbon_file": "/nowhere/x.csv", "carbon_zone": "DE"}, "/nowhere/x.csv cannot be read"),
    ],
)
def test_impossible_factors_are_refused_with_what_would_do(settings: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        factors(**settings)
