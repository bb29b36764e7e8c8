"""The requirements of the draft: the table, and the page that is made of it."""
