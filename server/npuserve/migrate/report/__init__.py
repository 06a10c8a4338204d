"""What a migration found, as one page: HTML that needs nothing else, and Markdown."""
