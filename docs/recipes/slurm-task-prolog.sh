#!/bin/sh
# Slurm TaskProlog: tells the job's own programs the run that the Prolog opened. What they book nests inside of it.
[ -n "${SLURM_JOB_ID:-}" ] || exit 0
echo "export JOULEMARK_RUN=slurm-$SLURM_JOB_ID"
echo "export JOULEMARK_AROUND=slurm-$SLURM_JOB_ID"
