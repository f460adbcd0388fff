#!/bin/sh
# Says before 'docker compose up' what would keep it from coming up, and what to do. 'deploy/docker/check.sh gpu' looks for
# the NVIDIA runtime too. Exit code 1 where something would.
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0
compose=${COMPOSE:-docker compose}

wrong() {
    echo "wrong: $1" >&2
    echo "       $2" >&2
    failed=1
}

# The value of a setting: from the environment, else from .env, else the default.
setting() {
    eval "value=\${$1:-}"
    if [ -z "$value" ] && [ -f .env ]; then
        value=$(sed -n "s/^$1=//p" .env | tail -n 1)
    fi
    echo "${value:-$2}"
}

check_compose() {
    found=$($compose version --short 2>/dev/null | sed 's/^v//')
    if [ -z "$found" ]; then
        wrong "there is no '$compose'" "install the Compose plugin: https://docs.docker.com/compose/install/"
        return
    fi
    major=${found%%.*}
    rest=${found#*.}
    if [ "$major" -lt 2 ] || { [ "$major" -eq 2 ] && [ "${rest%%.*}" -lt 24 ]; }; then
        wrong "Compose $found is too old" "install 2.24 or later: https://docs.docker.com/compose/install/"
    fi
}

check_engine() {
    if ! answer=$(docker version --format '{{.Server.Version}}' 2>&1); then
        case $answer in
        *"permission denied"*) wrong "this user may not talk to Docker" "join the group docker, or use sudo" ;;
        *) wrong "Docker does not answer: $answer" "start it: systemctl start docker" ;;
        esac
        return 1
    fi
}

check_port() {
    port=$(setting "$1" "$2")
    # Our own containers may have it: then it is not taken but in use by what is wanted.
    if docker ps --filter "label=com.docker.compose.project=$(setting COMPOSE_PROJECT_NAME joulemark)" \
        --format '{{.Ports}}' | grep -q ":$port->"; then
        return
    fi
    # One hexadecimal port in the kernel's table of listening sockets (state 0A).
    if awk -v port="$(printf ':%04X' "$port")" '$4 == "0A" && substr($2, length($2) - 4) == port {found = 1}
        END {exit !found}' /proc/net/tcp /proc/net/tcp6 2>/dev/null; then
        wrong "port $port is taken" "set $1 to another one in .env"
    fi
}

check_gpu() {
    if ! docker info --format '{{json .Runtimes}} {{json .}}' 2>/dev/null | grep -q -e '"nvidia"' -e 'nvidia.com/gpu'; then
        wrong "Docker knows no NVIDIA runtime" "install the NVIDIA Container Toolkit, run 'nvidia-ctk runtime configure \
--runtime=docker' and restart Docker; or leave compose.gpu.yaml out"
    fi
}

check_compose
if check_engine; then
    check_port JOULEMARK_PORT 9871
    check_port PROMETHEUS_PORT 9090
    check_port GRAFANA_PORT 3000
    case "${1:-} $(setting COMPOSE_FILE compose.yaml)" in *gpu*) check_gpu ;; esac
fi
[ "$failed" -eq 0 ] && echo "ready for '$compose up'"
exit "$failed"
