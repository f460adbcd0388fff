"""How long the client waits for what, in seconds."""

from __future__ import annotations

# What a window outlives its job by, when the job dies without a word.
LEASE_SECONDS = 60.0
# The longest that a call on the job's thread waits for the exporter.
WAIT_SECONDS = 0.25
# So long a stage may go without its window, or a window outlive its stage, before the job is told.
SLACK_SECONDS = 0.25
# How often tokens are sent and leases renewed; and how often an exporter that is away is asked again.
BEAT_SECONDS = 5.0
RETRY_SECONDS = 1.0
# One call of the background thread, from connecting to the last byte. A strict client waits for it.
REQUEST_SECONDS = 5.0
# A connection is used again within this time; the exporter lets go of one that is idle for 5 s.
KEPT_SECONDS = 4.0
# What a job that ends waits for calls that are still under way.
EXIT_SECONDS = 2.0
# Counts of other local ranks may come so long after the first rank has closed its run.
LINGER_SECONDS = 30.0
# And so long where not all of them have spoken: they are slow to start, or have nothing to say.
UNHEARD_SECONDS = 1.0
