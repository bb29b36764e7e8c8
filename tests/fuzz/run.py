"""`python -m tests.fuzz.run TARGET SECONDS`: a coverage-guided search for octets that break a target.

What it learns goes to `build/fuzz/TARGET`, and a crash to `build/fuzz/crash-...`; copy that file to
`tests/fuzz/corpus/TARGET` once it is understood. Further arguments go to libFuzzer.
"""

import logging
import sys
from pathlib import Path

HERE = Path(__file__).parent
LEARNT = HERE.parents[1] / "build" / "fuzz"
LONGEST = {  # octets of one input
    "agent": 1500,
    "concentrator": 4096,
    "config": 2048,
    "run": 8192,
    "server": 4096,
    "spec": 2048,
    "wire": 2048,
}


def main() -> int:
    try:
        import atheris
    except ImportError:
        print(
            "fuzz: atheris has no ready-made files for this machine (Linux on x86_64 only)", file=sys.stderr
        )
        return 1
    with atheris.instrument_imports(include=["lq", "yaml", "tests.fuzz.targets", "topologies.agent"]):
        from tests.fuzz.targets import TARGETS

    logging.disable()
    target, seconds, *more = sys.argv[1:]
    (LEARNT / target).mkdir(parents=True, exist_ok=True)
    arguments = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST[target]}",
        f"-artifact_prefix={LEARNT}/",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    words = HERE / f"{target}.dict"
    arguments += [f"-dict={words}"] if words.exists() else []
    directories = [str(LEARNT / target), str(HERE / "corpus" / target)]
    atheris.Setup([sys.argv[0], *arguments, *more, *directories], TARGETS[target])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
