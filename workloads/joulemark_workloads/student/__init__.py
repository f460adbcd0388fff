"""Training a student on the Hugging Face Trainer, on text alone or with its teacher's logits."""
