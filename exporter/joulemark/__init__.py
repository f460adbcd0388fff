"""Joulemark: where the joules of a language-model pipeline go. This is the client; it needs only the standard library.

import joulemark

with joulemark.run("kd-1b", pipeline="kd", teacher="OLMo-2-32B", student="OLMo-2-1B") as run:
    with run.stage("teacher", phase="logit_caching") as stage:
        stage.add_tokens(cached=4096)
"""

from .client.run import Run, run, stage
from .client.stage import Stage
from .errors import ClientError, JoulemarkError

__all__ = ["ClientError", "JoulemarkError", "Run", "Stage", "run", "stage"]
