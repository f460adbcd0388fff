"""A job over several nodes: every node's first process tells the exporter of its own node, the run's name joins them.

On each node, with `joulemark serve` there:

    torchrun --nnodes 2 --node-rank 0 --master-addr NODE0 --master-port 29500 --nproc-per-node 8 train.py

The same lines in every process: which of them speaks the client finds out by itself.
"""

import os

import torch.distributed as dist

import joulemark


def main() -> None:
    dist.init_process_group("gloo")  # nccl on GPUs
    with joulemark.run(os.environ.get("RUN", "kd-7b"), pipeline="kd") as run, run.stage("student") as stage:
        # Here the training: each process counts its own tokens, the sum of a node's goes to that node's exporter.
        stage.add_tokens(trained=100)
        dist.barrier()  # As a training step does: no process is through before the others are.
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
