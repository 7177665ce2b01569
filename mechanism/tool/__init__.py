"""Price and audit the models that people already have: files in, payments and weaknesses out."""
