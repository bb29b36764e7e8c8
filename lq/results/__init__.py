"""A finished run: its tables, its phases, its validity, and what single scenarios show."""
