"""What staging adds to the pages: folded cells, links, the library's own pages, the first page."""
