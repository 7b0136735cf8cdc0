"""GitHub: github.com and GitHub Enterprise."""
