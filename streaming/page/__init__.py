"""What HTML pages for people are made of: markup, plots, the shell and the style; no script, nothing loaded."""
