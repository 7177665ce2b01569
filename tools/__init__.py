"""How the book is built: environment, chapters, site. Nothing here is part of `mechanism`."""
