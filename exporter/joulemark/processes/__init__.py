"""Who works on the GPUs: processes with the container, Slurm job or unit they belong to. Told, never booked."""
