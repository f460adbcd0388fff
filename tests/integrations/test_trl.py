"""JoulemarkCallback in a trainer of TRL, which prepares its data and counts in its own way."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from fake_exporter import FakeExporter
from tiny_model import tiny_folder

from joulemark.integrations.transformers import JoulemarkCallback

with warnings.catch_warnings():
    # TRL warns of releases of other libraries while it is imported.
    warnings.simplefilter("ignore")
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

# All of one length: there is no padding, and every way of counting must come to the same.
TEXTS = ["The teacher answers in a few words."] * 12


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model"))


def sft(folder: Path, model: Path, callback: JoulemarkCallback, **options: Any) -> Any:
    """Supervised fine-tuning of twelve texts; two of them are evaluated as well."""
    args = SFTConfig(
        output_dir=str(folder / "out"), per_device_train_batch_size=2, per_device_eval_batch_size=2,
        gradient_accumulation_steps=2, num_train_epochs=1, report_to=[], use_cpu=True, bf16=False, max_length=32,
        disable_tqdm=True, dataloader_pin_memory=False, gradient_checkpointing=False, **options,
    )  # fmt: skip
    data = Dataset.from_dict({"text": TEXTS})
    return SFTTrainer(
        model=str(model), args=args, train_dataset=data, eval_dataset=data.select(range(2)), callbacks=[callback]
    )


@pytest.mark.filterwarnings("ignore")  # What TRL and its libraries say of each other is not ours.
@pytest.mark.parametrize("option", ["no", "non_padding"])
def test_an_sft_trainer_is_booked_like_any_other(
    option: str, fake: FakeExporter, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOULEMARK_URL", fake.url)
    callback = JoulemarkCallback("sft-1", pipeline="sft")
    made = sft(
        tmp_path, model, callback, eval_strategy="epoch", save_strategy="epoch", include_num_input_tokens_seen=option
    )
    made.train()
    assert not fake.open_windows()
    booked = [(window["stage"], window["phase"]) for window in fake.windows.values()]
    assert booked == [("student", ""), ("eval", ""), ("student", "checkpoint")]
    student, evaluated, _ = fake.windows.values()
    length = len(made.train_dataset[0]["input_ids"])
    assert student["tokens"] == {"trained": 12 * length}
    assert evaluated["tokens"] == {"evaluated": 2 * length}
    assert callback.token_source == ("batches" if option == "no" else "trainer")
    assert {body["benchmark"] for body in fake.made("POST", "/runs/sft-1/scores")} == {"mean_token_accuracy"}
