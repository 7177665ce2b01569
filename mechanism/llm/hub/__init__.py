"""What the paper scale reads from the Hugging Face hub."""
