"""Run the benchmarks: `python tests/bench/run.py [--quick] [--only NAME] [--json FILE]`.

Prints what is compared with what, on which machine, and whether a target is met. Targets are information: the exit
code is 0 whatever the figures are, and 1 when something could not be measured.
"""

import argparse
import asyncio
import importlib
import signal
import sys
from pathlib import Path

import uvloop

from bench.report import Bench, machine

BENCHES = {
    "wire": ("wirespeed", "Filter and prioritize over HTTP, against a Go extender"),
    "webhook": ("hookspeed", "The mutating webhook over TLS, against a Go webhook"),
    "scheduler": ("throughput", "kube-scheduler: pods per second, against the same scheduler without an extender"),
    "gates": ("gating", "Classes written on gated pods: our own time, the whole chain, the scheduler, memory"),
    "scale": ("scale", "State: load, memory, events"),
    "policies": ("policies", "A thousand policy objects: statuses, memory, filter"),
    "two-services": ("twoservices", "Two services under one policy, from nothing"),
    "plan": ("planspeed", "The drift loop's plan"),
    "what-if": ("whatifspeed", "What a change would come to"),
    "sampling": ("sampling", "Few nodes of a class among many: what the cure of sampling costs"),
    "virtual": ("virtualday", "A day of spot reclaims in virtual time: split, evictions, floors"),
    "micro": ("micro", "The parts, without I/O"),
    "api": ("apispeed", "Filter beside callers of the gRPC API"),
    "log": ("logcost", "Keeping decisions for explanations"),
    "traces": ("tracecost", "Tracing filter requests"),
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything works")
    parser.add_argument("--only", action="append", choices=BENCHES, help="run this one; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
    return parser.parse_args()


async def _main(arguments: argparse.Namespace) -> int:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    bench = Bench(quick=arguments.quick)
    bench.say("Machine: " + ", ".join(f"{key} {value}" for key, value in machine().items()))
    if arguments.quick:
        bench.say("--quick: sizes are small, figures mean little.")
    for name in arguments.only or BENCHES:
        module, title = BENCHES[name]
        bench.console.rule(name, align="left")
        try:
            await importlib.import_module(f"bench.{module}").run(bench)
        except Exception as fault:  # noqa: BLE001 - the other benchmarks can still be run
            bench.errors.append(f"{name}: {type(fault).__name__}: {fault}")
            bench.console.print_exception(max_frames=4)
        bench.show(name, title)
    if arguments.json is not None:
        bench.write(arguments.json)
    missed = [f"{figure.what} ({figure.who})" for figure in bench.figures if figure.met is False]
    bench.say("Missed: " + "; ".join(missed) if missed else "No target was missed.")
    for error in bench.errors:
        bench.console.print(error, style="red", highlight=False, markup=False)
    return 1 if bench.errors else 0


def main() -> None:
    """Run the command line; Ctrl-C ends every program that was started."""
    arguments = _arguments()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            sys.exit(runner.run(_main(arguments)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
