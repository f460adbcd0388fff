"""Other exporters on the same scripted GPUs, and a training job: pages with their exact names and labels."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from nvml_mock import LiveMachine

STEPS_PER_SECOND = 2.0


def pages(machine: LiveMachine, watts: Sequence[float], began: float) -> dict[str, str]:
    """What dcgm-exporter, nvidia_gpu_exporter, Kepler and a job of two ranks say now of GPUs at constant watts.

    The job has made its steps since it began.
    """
    lines: dict[str, list[str]] = {"dcgm": [], "nvidia": [], "kepler": [], "job": []}
    for index, level in enumerate(watts):
        bare = f"{index:08x}-0000-0000-0000-000000000000"
        joules = level * machine.now()
        dcgm = (
            f'{{gpu="{index}",UUID="GPU-{bare}",pci_bus_id="00000000:0{index}:00.0",device="nvidia{index}",'
            'modelName="NVIDIA H100 80GB HBM3",Hostname="n1",DCGM_FI_DRIVER_VERSION="570.00"}'
        )
        kepler = f'{{gpu="{index}",gpu_uuid="GPU-{bare}",gpu_name="H100",node_name="n1",vendor="nvidia"}}'
        lines["dcgm"].append(f"DCGM_FI_DEV_POWER_USAGE{dcgm} {level}")
        lines["dcgm"].append(f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{dcgm} {joules * 1000:.0f}")
        lines["nvidia"].append(f'nvidia_smi_power_draw_instant_watts{{uuid="{bare}"}} {level}')
        lines["nvidia"].append(f'nvidia_smi_power_draw_watts{{uuid="{bare}"}} {level}')
        lines["nvidia"].append(f'nvidia_smi_energy_joules_total{{uuid="{bare}"}} {joules}')
        lines["kepler"].append(f"kepler_node_gpu_watts{kepler} {level}")
        lines["kepler"].append(f"kepler_node_gpu_joules_total{kepler} {joules}")
    steps = int(STEPS_PER_SECOND * (machine.now() - began))
    lines["job"] = [f'train_steps_total{{run="kd-1b",rank="{rank}"}} {steps}' for rank in range(2)]
    return {name: "\n".join(sorted(rows)) + "\n" for name, rows in lines.items()}


@contextmanager
def serving(machine: LiveMachine, watts: Sequence[float]) -> Iterator[list[tuple[str, str]]]:
    """Servers of these pages, as (job, address)."""
    servers = []
    began = machine.now()
    for name in pages(machine, watts, began):

        class Handler(BaseHTTPRequestHandler):
            page = name

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(pages(machine, watts, began)[self.page].encode())

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append((name, server))
    try:
        yield [(name, f"127.0.0.1:{server.server_port}") for name, server in servers]
    finally:
        for _, server in servers:
            server.shutdown()
            server.server_close()
