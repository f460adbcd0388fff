"""How well the meter attributes joules to stages, on scripted GPUs whose energy is known exactly."""
