#!/bin/sh
# For cron: 30 2 * * *  /opt/jobs/nightly.sh python evaluate.py
# Cron mails what is printed: nothing but the summary, or what went wrong.
set -eu
export JOULEMARK_URL="${JOULEMARK_URL:-http://127.0.0.1:9871}"
exec joulemark exec --run "nightly-$(date +%Y-%m-%d)" --stage eval -- "$@"
