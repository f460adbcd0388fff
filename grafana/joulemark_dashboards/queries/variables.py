"""What fills the boards' variables. Each narrows the ones after it."""

from __future__ import annotations

from joulemark.metrics import METRICS

_BUILD = METRICS["joulemark_build_info"].name

JOBS = f"label_values({_BUILD}, job)"
INSTANCES = f'label_values({_BUILD}{{job=~"$job"}}, instance)'
PIPELINES = "label_values(run:joulemark_run_facts:info, pipeline)"
STUDENTS = 'label_values(run:joulemark_run_facts:info{pipeline=~"$pipeline"}, student)'
DATASETS = 'label_values(run:joulemark_run_facts:info{pipeline=~"$pipeline",student=~"$student"}, dataset)'
RUNS = 'label_values(run:joulemark_run_facts:info{pipeline=~"$pipeline",student=~"$student",dataset=~"$dataset"}, run)'

# What a run's CO2e and cost are computed with unless somebody chooses otherwise: what exporters are configured with.
# NaN, and so no figure, where that is nothing or not one figure.
CONFIGURED_PUE = "scalar(max(ledger:joulemark_pue_ratio:max))"
CONFIGURED_INTENSITY = "scalar(max(ledger:joulemark_carbon_intensity_grams_per_kwh:max))"
CONFIGURED_PRICE = "scalar(max(ledger:joulemark_electricity_price_per_kwh:max))"
