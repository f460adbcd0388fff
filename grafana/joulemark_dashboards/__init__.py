"""Grafana boards as code: queries, one house style, deterministic JSON. `python -m joulemark_dashboards` writes it."""

from __future__ import annotations

import warnings

# Importing a builder of the SDK touches its dashboardv2 model, which announces its own end. The classic model, which
# file provisioning takes, is the one used here.
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"grafana_foundation_sdk\..*")
warnings.filterwarnings("ignore", category=DeprecationWarning, message=r".*dashboardv2.*")
