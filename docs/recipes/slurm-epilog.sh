#!/bin/sh
# Slurm Epilog: ends the window that the Prolog opened. It never fails either; what it cannot end, the lease does.
# Slurm gives it no PATH: JOULEMARK names the program where it is not in a usual place.
PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}
[ -n "${SLURM_JOB_ID:-}" ] || exit 0
timeout 10 "${JOULEMARK:-joulemark}" stage end --run "slurm-$SLURM_JOB_ID" ||
    echo "joulemark: the window of job $SLURM_JOB_ID was not ended" >&2
exit 0
