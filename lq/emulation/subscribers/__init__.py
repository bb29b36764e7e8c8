"""Who is behind the modems: a namespace for each host, or one process that plays them all."""
