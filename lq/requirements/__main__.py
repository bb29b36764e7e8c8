"""Write `docs/requirements.md` of this tree: `python -m lq.requirements`."""

from pathlib import Path

from lq import files
from lq.requirements.document import PAGE, page

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    files.Tree(root).write(PAGE, page(root).encode())
