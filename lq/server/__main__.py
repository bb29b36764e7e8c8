"""`python -m lq.server CONFIG`: the server in the foreground."""

import argparse
import sys

from lq import stdio
from lq.server.daemon import serve
from lq.server.log import LEVELS


def main() -> int:
    """Read the arguments and serve."""
    stdio.ensure()
    parser = argparse.ArgumentParser(prog="python -m lq.server", description="DHCP server with leasequery")
    parser.add_argument("config", help="configuration, a YAML file")
    parser.add_argument(
        "--counters-json", metavar="PATH", help="file for the counters; written at exit and on SIGUSR1"
    )
    parser.add_argument("--log", choices=LEVELS, default="warning", help="level of the log on standard error")
    arguments = parser.parse_args()
    return serve(arguments.config, arguments.counters_json, arguments.log)


if __name__ == "__main__":
    sys.exit(main())
