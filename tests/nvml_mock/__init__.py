"""A scripted NVML: the C library that the real nvidia-ml-py loads, and its exact joules in Python."""

from .bench import StageError, VirtualBench
from .script import Constant, Gpu, Noise, Ramp, Script, SharedClock, Square, build

__all__ = ["Constant", "Gpu", "Noise", "Ramp", "Script", "SharedClock", "Square", "StageError", "VirtualBench", "build"]
