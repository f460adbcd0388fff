"""The pictures: what is drawn, in which formats, and that nothing in them rests on colour alone."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import pytest
from matplotlib.collections import PathCollection
from matplotlib.image import imread
from report.figures import SIZES, figure, paper_cells, texts
from report.samples import FACTORS, HOSTILE, curve, demo, everything, published, record, report_of, seeds, stage

from joulemark.accounting import JOULES_PER_KWH
from joulemark.report.amortisation import amortisation
from joulemark.report.canvas import Size, drawn
from joulemark.report.energy_quality import energy_quality
from joulemark.report.footprint import footprint
from joulemark.report.numbers import count, digits, scale, short, with_bound
from joulemark.report.pictures import CAPTIONS, DRAWINGS, picture_files
from joulemark.report.power_over_time import power_over_time
from joulemark.report.stage_breakdown import stage_breakdown

MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF-"}


def test_every_picture_comes_in_every_format_and_again_the_same() -> None:
    report = everything()
    files = picture_files(report)
    assert set(files) == {f"{name}.{format_}" for name in DRAWINGS for format_ in MAGIC}
    assert set(DRAWINGS) == set(CAPTIONS)
    for name, content in files.items():
        assert content.startswith(MAGIC[name.rsplit(".", 1)[1]]), name
    assert picture_files(report) == files
    for word in (b"CreationDate", b"Matplotlib v", b"<dc:date>"):
        assert not any(word in content for content in files.values()), word


def test_print_formats_are_drawn_and_not_pasted() -> None:
    files = picture_files(paper_cells(), ("svg", "pdf"))
    assert not any(b"<image" in content or b"/Subtype /Image" in content for content in files.values())


def test_png_is_fit_for_print() -> None:
    height, width = imread(io.BytesIO(picture_files(paper_cells(), ("png",))["stage_breakdown.png"])).shape[:2]
    assert width >= 1400
    assert height >= 500


def test_what_there_is_nothing_of_is_not_drawn() -> None:
    alone = report_of({"a": record("a", [stage("eval", 5.0)])})
    assert {name.split(".")[0] for name in picture_files(alone)} == {"stage_breakdown"}
    assert picture_files(report_of({})) == {}
    assert picture_files(report_of({"a": record("a", [])})) == {}


# -- energy against quality --------------------------------------------------------------------------------


def points(made: Any, panel: int = 0) -> dict[tuple[float, float], tuple[int, bool]]:
    """Energy and quality of each point, with how many corners its marker has and whether it is filled."""
    found = {}
    drawn: list[Any] = [one for one in made.axes[panel].collections if isinstance(one, PathCollection)]
    for scatter in drawn:
        offsets = scatter.get_offsets()
        if len(offsets) == 1:
            filled = tuple(scatter.get_facecolor()[0][:3]) != (1.0, 1.0, 1.0)
            where = (round(float(offsets[0][0]), 3), round(float(offsets[0][1]), 3))
            found[where] = (len(scatter.get_paths()[0].vertices), filled)
    return found


@SIZES
def test_frontier_and_dominated_are_told_apart_by_shape(size: Size) -> None:
    found = points(figure(energy_quality, paper_cells(), size))
    assert set(found) == {(7.0, 0.69), (34.6, 0.99), (16.9, 0.7), (42.5, 0.82)}
    shapes = {where: shape for where, (shape, _) in found.items()}
    assert shapes[42.5, 0.82] not in {shapes[7.0, 0.69], shapes[34.6, 0.99], shapes[16.9, 0.7]}
    assert len({shapes[7.0, 0.69], shapes[34.6, 0.99], shapes[16.9, 0.7]}) == 1
    assert [found[where][1] for where in sorted(found)] == [True, True, True, False]


def test_error_bars_are_the_spread_of_repeats_in_both_axes() -> None:
    made = figure(energy_quality, report_of({name: run for name, run in seeds().items() if name.startswith("kd-")}))
    segments = [line.get_segments()[0] for line in made.axes[0].collections if hasattr(line, "get_segments")]
    assert any(b[0] - a[0] == pytest.approx(20.0) for a, b in segments), "energy: deviation of 10 on each side"
    assert any(b[1] - a[1] == pytest.approx(0.05) for a, b in segments), "quality: deviation of 0.025"


def test_reuse_moves_runs_to_the_left_in_a_panel_of_its_own() -> None:
    cache = {"artifact": "x", "kind": "logit_cache"}
    score = [{"benchmark": "b", "score": 0.5, "reference": 1.0, "n": 1}]
    used = {**cache, "role": "consumed"}
    maker = record(
        "a",
        [stage("teacher", 100.0), stage("student", 50.0)],
        artifacts=[{**cache, "role": "produced"}, used],
        scores=score,
    )
    user = record("b", [stage("student", 60.0)], artifacts=[used], scores=score)
    made = figure(energy_quality, report_of({"a": maker, "b": user}))
    assert set(points(made, 0)) == {(150.0, 0.5), (160.0, 0.5)}
    assert set(points(made, 1)) == {(100.0, 0.5), (110.0, 0.5)}
    assert len(figure(energy_quality, paper_cells()).axes) == 1, "no panel that says the same again"


# -- amortisation ------------------------------------------------------------------------------------------


@SIZES
def test_the_curve_meets_the_baseline_at_n_star(size: Size) -> None:
    report = report_of({run: published(run) for run in ("sft-1b", "kd-1b")})
    made = figure(amortisation, report, size)
    (panel,) = made.axes
    costs = panel.lines[0]
    assert list(costs.get_xdata())[:3] == [1, 2, 3]
    assert costs.get_ydata()[0] == pytest.approx(11.0 + 5.2)
    assert costs.get_ydata()[9] == pytest.approx(6.3), "at N* = 10 it costs what the baseline's student stage does"
    (marked,) = [c for c in panel.collections if len(c.get_offsets()) == 1]
    assert tuple(marked.get_offsets()[0]) == (pytest.approx(10.0), pytest.approx(6.3))
    assert "N* = 10.0" in texts(made)


def test_where_it_never_pays_the_reason_stands() -> None:
    dear = record("kd", [stage("teacher", 10.0), stage("student", 200.0)], pipeline="kd", student="s")
    base = record("sft", [stage("student", 100.0)], pipeline="sft", student="s")
    made = figure(amortisation, report_of({"kd": dear, "sft": base}))
    assert any("no N*" in text and "it uses no less than" in text for text in texts(made))
    far = record("kd", [stage("teacher", 1e6), stage("student", 99.9)], pipeline="kd", student="s")
    assert figure(amortisation, report_of({"kd": far, "sft": base})).axes[0].get_xscale() == "log"


# -- power and footprint -----------------------------------------------------------------------------------


@SIZES
def test_power_is_shaded_and_named_by_stage(size: Size) -> None:
    made = figure(power_over_time, report_of(seeds(), curves=[curve("kd-0")]), size)
    assert {"teacher", "student", "kd-0", "watts", "time since its first scrape (s)"} <= set(texts(made))
    filled = [patch for patch in made.axes[0].patches if patch.get_fill() and hasattr(patch, "get_data")]
    heights = [max(patch.get_data().values - patch.get_data().baseline) for patch in filled]
    assert heights == [300.0, 180.0]
    assert len({patch.get_hatch() for patch in filled}) == 2


def test_footprint_is_of_one_off_energy_with_its_factors_told() -> None:
    made = figure(footprint, report_of(demo(), factors=FACTORS))
    milligrams = [bar.get_width() for bar in made.axes[0].patches]
    assert milligrams[1] == pytest.approx(900 / 3.6e6 * 1.2 * 56 * 1000)
    assert "CO2e (mg)" in texts(made)
    assert milligrams[2] == milligrams[1], "kd-2 owes the teacher that kd-1 paid"
    assert made.axes[1].patches[1].get_width() == pytest.approx(900 / 3.6e6 * 1.2 * 0.21)
    assert any("PUE 1.2" in text for text in texts(made))


# -- what all share ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWINGS)
@SIZES
def test_origins_are_marked_in_every_picture(name: str, size: Size) -> None:
    def made(origin: str) -> list[str]:
        records: Mapping[str, Any] = {run: {**one, "origin": origin} for run, one in seeds().items()}
        return texts(figure(DRAWINGS[name], report_of(records, curves=[curve("kd-0")], factors=FACTORS), size))

    assert not any("MODELLED" in text for text in made("measured"))
    assert any(re.match(r"MODELLED:\s", text) for text in made("modelled")), "in words"
    assert "MODELLED" in made("modelled"), "and across the picture"


def test_a_student_that_all_share_is_said_once() -> None:
    assert {"student: s", "kd", "sft"} <= set(texts(figure(stage_breakdown, report_of(seeds()))))


def test_runs_of_several_origins_are_marked_each() -> None:
    mixed = report_of({"sft-1b": published("sft-1b"), "kd-1b": {**published("kd-1b"), "origin": "measured"}})
    said = texts(figure(stage_breakdown, mixed))
    assert any(text.startswith("PUBLISHED: ") for text in said)
    assert "PUBLISHED" not in said, "no watermark over what was measured"


@SIZES
def test_pictures_of_any_runs_can_be_drawn(size: Size) -> None:
    many = {f"run-{n}": {**published("kd-1b"), "run": f"run-{n}", "student": f"s{n}"} for n in range(12)}
    odd = {"x" * 128: record("x" * 128, [stage("export", 0.0), stage("teacher", 1e-3)], uncertainty_joules=900.0)}
    hostile = {HOSTILE: {**published("kd-1b"), "run": HOSTILE, "pipeline": HOSTILE, "student": "$x_1^"}}
    for records in (many, odd, many | odd, hostile):
        for draw in DRAWINGS.values():
            drawn(draw, report_of(records, factors=FACTORS), size, ("png",))


@pytest.mark.parametrize(
    ("value", "bound", "text"),
    [
        (7.0, 0.0001, "7.0000 ± 0.0001"),
        (1.23, 0.04, "1.23 ± 0.04"),
        (1234.5, 20.0, "1,234 ± 20"),
        (0.0, 0.0, "0"),
        (5, 0.006, "5.000 ± 0.006"),
        (1.0437, 0.0014, "1.044 ± 0.001"),
        (16.9, None, "16.9"),
        (-16.9, None, "-16.9"),
    ],
)
def test_digits_that_mean_something(value: float, bound: float | None, text: str) -> None:
    assert with_bound(value, bound) == text


def test_units_counts_and_names_that_fit() -> None:
    assert [scale(joules)[1] for joules in (0.0, 999.0, 1e3, 3.5e5, 0.1 * JOULES_PER_KWH)] == [
        "J", "J", "kJ", "kJ", "kWh",
    ]  # fmt: skip
    assert [count(value) for value in (None, 12.0, 4200.0, 3e7, 1.25e9)] == [
        "",
        "12",
        "4,200",
        "30.0 million",
        "1.25 billion",
    ]
    assert digits(None) == ""
    assert len(short("y" * 128)) < 30
    assert short("kd-1") == "kd-1"
