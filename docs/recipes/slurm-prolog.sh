#!/bin/sh
# Slurm Prolog: books every job to a run of its own, with no change to the job. A Prolog that fails drains the
# node, so this one never does. A job that books itself is left out by --comment=joulemark=off.
url=${JOULEMARK_URL:-http://127.0.0.1:9871}
case ${SLURM_JOB_COMMENT:-} in *joulemark=off*) exit 0 ;; esac
[ -n "${SLURM_JOB_ID:-}" ] || exit 0

# The lease ends a window whose Epilog never ran: with the job's time limit, else after a day.
now=$(date +%s)
ttl=$((${SLURM_JOB_END_TIME:-$((now + 86400))} - now + 60))
[ "$ttl" -le 86400 ] || ttl=86400
[ "$ttl" -ge 60 ] || ttl=60

# SLURM_JOB_GPUS holds indices (0,1). Without GPUs the job holds every device.
devices=
if [ -n "${SLURM_JOB_GPUS:-}" ]; then
    devices=",\"devices\":[\"gpu$(printf %s "$SLURM_JOB_GPUS" | sed 's/,/","gpu/g')\"]"
fi
curl --silent --show-error --max-time 2 -o /dev/null -X PUT "$url/api/v1/stage" \
    -d "{\"run\":\"slurm-$SLURM_JOB_ID\",\"stage\":\"job\",\"ttl_seconds\":$ttl$devices}" ||
    echo "joulemark: job $SLURM_JOB_ID is not booked" >&2
exit 0
