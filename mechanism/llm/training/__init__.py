"""Training with TRL, what its trainers maximise, and supervised fine-tuning."""
