"""The two estimators of a device: told of when they disagree, and not when sampling alone has them apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from nvml_mock import Constant, Gpu, Square, VirtualBench
from nvml_mock.script import Shape


@pytest.mark.parametrize(
    ("gain", "shape", "told"),
    [(1.0, Constant(400.0), False), (1.1, Constant(400.0), True), (1.0, Square(180.0, 690.0, 9.7), False)],
)
def test_a_disagreement_is_told_of_where_sampling_does_not_explain_it(
    gain: float, shape: Shape, told: bool, nvml_library: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = VirtualBench(nvml_library, tmp_path, [Gpu({"power_tick": 0.1, "gain": gain})])
    bench.wait(5.0)
    bench.begin("stage", shape)
    bench.wait(60.0)
    (view,) = bench.meter.fleet.views()
    bench.stop()
    assert ("estimators_disagree" in caplog.text) == told
    assert view.disagreement_ratio == pytest.approx(abs(gain - 1.0), abs=0.02)
