# The exporter: no compiler, no PyTorch, no root. Any base with Python 3.10 or later and pip will do.
ARG BASE_IMAGE=python:3.13-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
RUN python3 -m venv --without-pip /opt/joulemark \
    && python3 -m pip --python /opt/joulemark/bin/python3 install --no-cache-dir --quiet '.[docker]'

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="joulemark exporter" \
      org.opencontainers.image.description="Power exporter and stage API: where the joules of an LLM pipeline go" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/joulemark /opt/joulemark
COPY deploy/docker/healthcheck.py deploy/docker/first_start.py deploy/docker/preflight.py /opt/joulemark/share/
# Named volumes take their owner from these folders.
RUN groupadd --gid 10001 joulemark \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin joulemark \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/joulemark /run/joulemark/secrets /run/joulemark/grafana
ENV PATH=/opt/joulemark/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    JOULEMARK_STATE_DIR=/var/lib/joulemark \
    JOULEMARK_WEB_LISTEN_ADDRESS=:9871 \
    NVIDIA_DRIVER_CAPABILITIES=utility
USER 10001:10001
VOLUME /var/lib/joulemark
EXPOSE 9871
HEALTHCHECK --interval=5s --timeout=4s --start-period=20s CMD ["python3", "-I", "-S", "/opt/joulemark/share/healthcheck.py"]
ENTRYPOINT ["joulemark"]
CMD ["serve"]
