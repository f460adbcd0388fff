"""The stacked bars of joules by stage: what each piece stands for, and whose teacher is in it."""

from __future__ import annotations

from typing import Any

import pytest
from report.figures import SIZES, figure, paper_cells, texts
from report.samples import demo, record, report_of, seeds, stage

from joulemark.report.canvas import STAGE_COLOURS, STAGE_HATCHES, Size
from joulemark.report.stage_breakdown import stage_breakdown


def widths(made: Any) -> dict[tuple[float, str], float]:
    """Width of each bar by its row and colour."""
    from matplotlib.colors import to_hex
    from matplotlib.patches import Rectangle

    bars = [patch for patch in made.axes[0].patches if isinstance(patch, Rectangle) and patch.get_width() > 0]
    middle = [(round(bar.get_y() + bar.get_height() / 2), to_hex(bar.get_facecolor()).upper()) for bar in bars]
    return {key: bar.get_width() for key, bar in zip(middle, bars, strict=True) if bar.get_height() < 0.7}


@SIZES
def test_bars_are_the_stages_in_the_unit_of_the_axis(size: Size) -> None:
    found = widths(figure(stage_breakdown, paper_cells(), size))
    assert found[2, STAGE_COLOURS["teacher"]] == pytest.approx(11.0)
    assert found[1, STAGE_COLOURS["student"]] == pytest.approx(33.15)
    assert sum(width for (row, _), width in found.items() if row == 3) == pytest.approx(42.5)


def test_a_bar_of_repeats_ends_at_their_mean_and_says_how_many() -> None:
    report = report_of(seeds())
    made = figure(stage_breakdown, report)
    assert sum(width for (row, _), width in widths(made).items() if row == 1) == pytest.approx(900.0)
    assert "900 ± 10 J (3 runs)" in texts(made)


def test_a_wide_spread_stays_inside_the_picture() -> None:
    runs = {
        f"kd-{seed}": record(f"kd-{seed}", [stage("student", joules)], pipeline="kd", student="s", seed=seed)
        for seed, joules in enumerate((100.0, 900.0))
    }
    made = figure(stage_breakdown, report_of(runs))
    (whisker,) = next(one for one in made.axes[0].containers if hasattr(one, "lines")).lines[2]
    right = max(x for segment in whisker.get_segments() for x, _ in segment)
    assert right == pytest.approx(500 + 400 * 2**0.5)
    assert right < made.axes[0].get_xlim()[1]


def test_the_teacher_of_another_run_is_drawn_in_full_and_open() -> None:
    made = figure(stage_breakdown, report_of(demo()))
    found = widths(made)
    assert found[1, STAGE_COLOURS["teacher"]] == pytest.approx(300.0)
    assert (2, STAGE_COLOURS["teacher"]) not in found
    assert found[2, "#FFFFFF"] == pytest.approx(300.0)
    assert "another run's teacher" in texts(made)
    assert any(text.startswith("900") for text in texts(made))


def test_repeats_that_share_a_teacher_do_not_seem_to_spread() -> None:
    cache = {"artifact": "sha256:0123456789abcdef", "kind": "logit_cache"}
    runs = [
        record("kd-0", [stage("teacher", 300.0), stage("student", 590.0)], pipeline="kd", student="s", seed=0),
        record("kd-1", [stage("student", 610.0)], pipeline="kd", student="s", seed=1),
    ]
    runs[0]["artifacts"] = [{**cache, "role": "produced"}, {**cache, "role": "consumed"}]
    runs[1]["artifacts"] = [{**cache, "role": "consumed"}]
    said = texts(figure(stage_breakdown, report_of({run["run"]: run for run in runs})))
    assert "900 ± 14 J (2 runs)" in said


def test_stages_differ_in_hatch_as_well_as_colour() -> None:
    assert len(set(STAGE_HATCHES.values())) == len(STAGE_HATCHES) == len(set(STAGE_COLOURS.values()))
    made = figure(stage_breakdown, paper_cells())
    assert {patch.get_hatch() or "" for patch in made.axes[0].patches} >= {"xx", "//", "", "\\\\"}
