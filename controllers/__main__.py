"""`python -m controllers SETTINGS.json`: run the concentrator's controller."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from controllers.settings import VARIABLE, Settings
from lq import stdio


def main(arguments: list[str]) -> None:
    """Load the settings, then the framework that they name, then the application."""
    stdio.ensure()
    try:
        settings = Settings.load(Path(arguments[0]))
    except ValueError as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        sys.exit(2)
    os.environ[VARIABLE] = arguments[0]
    os.environ["LQ_CONTROLLER_FRAMEWORK"] = settings.framework

    from controllers import framework  # reads the environment when it is imported

    framework.run("controllers.concentrator", settings.listen)


if __name__ == "__main__":
    main(sys.argv[1:])
