"""Settings of programs: declared once, read from flags, environment and file, and written down from the declarations."""
