"""A scripted NVML: the C library that the real nvidia-ml-py loads, and its exact joules in Python."""

from .bench import StageError, VirtualBench
from .machine import LiveMachine, Machine
from .script import Constant, Gpu, Noise, Ramp, Script, Shape, SharedClock, Square, build

__all__ = [
    "Constant", "Gpu", "LiveMachine", "Machine", "Noise", "Ramp", "Script", "Shape", "SharedClock", "Square",
    "StageError", "VirtualBench", "build",
]  # fmt: skip
