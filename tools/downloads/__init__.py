"""What readers take along: notebooks that run anywhere, the wheel, the book as one PDF."""
