"""Whether a GPU is there, told by the machine's own files."""

from __future__ import annotations

from pathlib import Path

from joulemark.gpus import gpus_present


def device(root: Path, address: str, vendor: str, kind: str) -> None:
    folder = root / "sys" / "bus" / "pci" / "devices" / address
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(f"{vendor}\n")
    (folder / "class").write_text(f"{kind}\n")


def test_cards_are_counted_and_not_their_sound_or_other_makers(tmp_path: Path) -> None:
    device(tmp_path, "0000:01:00.0", "0x10de", "0x030000")
    device(tmp_path, "0000:01:00.1", "0x10de", "0x040300")
    device(tmp_path, "0000:02:00.0", "0x10de", "0x030200")
    device(tmp_path, "0000:03:00.0", "0x8086", "0x030000")
    assert gpus_present(tmp_path) == 2


def test_a_device_file_without_a_bus_entry_is_a_gpu_too(tmp_path: Path) -> None:
    device(tmp_path, "0000:03:00.0", "0x8086", "0x030000")
    assert gpus_present(tmp_path) == 0
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm", "nvidia-modeset"):
        (tmp_path / "dev" / name).touch()
    assert gpus_present(tmp_path) == 1


def test_a_machine_that_shows_no_bus_says_nothing(tmp_path: Path) -> None:
    assert gpus_present(tmp_path) is None
