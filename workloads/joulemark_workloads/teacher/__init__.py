"""What a teacher leaves on disk: cached logits and synthetic responses, content-addressed and never half there."""
