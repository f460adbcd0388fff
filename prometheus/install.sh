#!/bin/sh
# Makes sure that a Prometheus is there: from PATH, else the system package where we may install one.
# Never fails: without Prometheus the demo reads the ledger instead.
set -u
if command -v prometheus >/dev/null 2>&1 && command -v promtool >/dev/null 2>&1; then
    exit 0
fi
how="install it with 'sudo apt-get install prometheus', or put a prometheus binary from its releases on PATH"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "joulemark: no Prometheus here; $how. Going on without it." >&2
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "joulemark: no Prometheus here and no right to install one; $how. Going on without it." >&2
    exit 0
fi
echo "joulemark: installing the system's Prometheus package (its own service is not started)"
export DEBIAN_FRONTEND=noninteractive
# RUNLEVEL=1 keeps the package from starting a second Prometheus as a service.
if ! RUNLEVEL=1 apt-get install -y -qq --no-install-recommends prometheus >/dev/null 2>&1; then
    apt-get update -qq &&
        RUNLEVEL=1 apt-get install -y -qq --no-install-recommends prometheus >/dev/null ||
        echo "joulemark: the package could not be installed; $how. Going on without it." >&2
fi
exit 0
