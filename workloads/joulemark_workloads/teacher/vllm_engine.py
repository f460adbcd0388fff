"""Generation with vLLM, which is imported only when it is used: `pip install 'joulemark[vllm]'` on a GPU machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config.sections import Generation
from ..errors import WorkloadError
from ..models.locate import ModelFolder
from .engine import Ids, Progress


class VllmEngine:
    """vLLM's engine, stepped by hand so that it can be seen when it is full and when it runs dry."""

    def __init__(self, folder: ModelFolder, dtype: str, wanted: Generation) -> None:
        try:
            import vllm
        except ImportError as error:
            raise WorkloadError(
                "generation.engine is vllm, which is not installed: use transformers or auto"
            ) from error
        self._vllm = vllm
        self._full = wanted.batch_prompts
        self._wanted = wanted
        self._llm: Any = vllm.LLM(
            model=folder.path, revision=folder.revision, dtype=dtype, max_num_seqs=wanted.batch_prompts
        )

    def generate(self, prompts: list[Ids], seed: int, progress: Progress) -> list[Ids]:
        """Each prompt has a seed of its own, so that what runs beside it changes nothing."""
        engine = self._llm.llm_engine
        for number, prompt in enumerate(prompts):
            sampling = self._vllm.SamplingParams(
                max_tokens=self._wanted.max_new_tokens,
                temperature=self._wanted.temperature,
                top_p=self._wanted.top_p,
                seed=seed + number,
            )
            engine.add_request(str(number), {"prompt_token_ids": prompt.tolist()}, sampling)
        responses: dict[int, Any] = {}
        lengths: dict[int, int] = {}
        while engine.has_unfinished_requests():
            grown = 0
            for output in engine.step():
                number, ids = int(output.request_id), output.outputs[0].token_ids
                grown += len(ids) - lengths.get(number, 0)
                lengths[number] = len(ids)
                if output.finished:
                    responses[number] = ids
            progress(grown, self._full)
        return [np.array(responses[number], dtype=np.int32) for number in range(len(prompts))]
