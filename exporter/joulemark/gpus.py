"""How many NVIDIA GPUs this machine has, whether or not anything can read them."""

from __future__ import annotations

import re
from pathlib import Path

_NVIDIA = "0x10de"
# PCI classes of display and 3D controllers; a data centre's card is the latter.
_DISPLAY = ("0x0300", "0x0302")


def gpus_present(root: Path = Path("/")) -> int | None:
    """GPUs on the PCI bus or as device files, whichever are more; None where the machine does not show its bus."""
    bus = root / "sys" / "bus" / "pci" / "devices"
    if not bus.is_dir():
        return None
    on_bus = sum(
        _text(device / "vendor") == _NVIDIA and _text(device / "class").startswith(_DISPLAY) for device in bus.iterdir()
    )
    # A virtual machine may pass the device file through without the bus.
    files = sum(bool(re.fullmatch(r"nvidia\d+", file.name)) for file in (root / "dev").glob("nvidia*"))
    return max(on_bus, files)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
