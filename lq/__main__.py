"""The command `lq` and `python -m lq`: an interrupt is one line at any moment, also while all is loaded."""

from __future__ import annotations

import os


def _end(*_: object) -> None:
    """End at once: nothing runs yet, or any more, that would have to be ended in order."""
    os.write(2, b"lq: interrupted\n")
    os._exit(130)


try:
    import signal

    _handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not so with nohup or `&`
    if _handled:
        signal.signal(signal.SIGINT, _end)
except KeyboardInterrupt:
    _end()


def main() -> None:
    """Run the command line."""
    try:
        from lq.cli import main as command

        if _handled:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            command()
        finally:
            if _handled:
                signal.signal(signal.SIGINT, _end)
    except KeyboardInterrupt:  # a second one, while the first was told
        _end()


if __name__ == "__main__":
    main()
