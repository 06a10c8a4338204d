"""The `npuserve` command."""

import os
import sys
from collections.abc import Sequence

from npuserve import __version__
from npuserve.cli import atc, bench, describe, doctor, migrate, plan, run, serve, shadow
from npuserve.cli.bench_flags import add_bench_arguments
from npuserve.cli.compatibility import RENAMED, renamed
from npuserve.cli.parser import Parser, unrecognized
from npuserve.cli.plan_flags import add_plan_arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["atc"]:
        # The compiler's flags are the vendor's and its own to check.
        return atc.run(given[1:], os.environ)
    if given[:1] == ["migrate"]:
        # Its exit codes are its own.
        return migrate.run(given[1:])
    if given[:1] == ["shadow"] and "--" in given:
        # What is served may stand apart from how it is compared.
        given.remove("--")
    given, old = renamed(given)
    for flag in old:
        print(f"npuserve: warning: {flag} is an old flag, today it is {RENAMED[flag].rstrip('=')}", file=sys.stderr)
    parser = Parser(prog="npuserve", description="An inference server for Ascend NPUs that speaks Triton's protocols.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve.add_arguments(
        commands.add_parser(
            "serve",
            help="serve the models of a repository",
            usage="npuserve serve --model-repository DIR [FLAG ...]",
            description="Serves the models of a repository. Flags are tritonserver's, with their meaning and defaults.",
        )
    )
    commands.add_parser("atc", help="compile an ONNX model to an OM (takes the vendor's flags)")
    add_plan_arguments(
        commands.add_parser(
            "plan",
            help="propose the gears to compile a model for, from a sample of lengths",
            usage="npuserve plan (--lengths FILE | --texts FILE --tokenizer FILE | --from URL) [FLAG ...]",
            description="Proposes the lengths and batch sizes that atc should compile, with what each choice wastes.",
        )
    )
    run.add_run_arguments(
        commands.add_parser(
            "run",
            help="run an OM on inputs from a file, without a server",
            usage="npuserve run OM --inputs FILE.npz [FLAG ...]",
            description="Runs an OM on inputs from a file, once for the outputs and --repeat times for the latency.",
        )
    )
    describe.add_describe_arguments(
        commands.add_parser(
            "describe",
            help="print the inputs, outputs and gears of an OM",
            usage="npuserve describe OM [--json] [FLAG ...]",
            description="Loads an OM and prints what it says of itself.",
        )
    )
    add_bench_arguments(
        commands.add_parser(
            "bench",
            help="load a server and say what its clients then wait",
            usage="npuserve bench -m MODEL [-u HOST:PORT] [--concurrency N | --request-rate R] [FLAG ...]",
            description="Loads a server that speaks Triton's protocol, with data of true lengths, and measures it.",
        )
    )
    commands.add_parser("migrate", help="take a model from a checkpoint to an approved service, with a report")
    doctor.add_doctor_arguments(
        commands.add_parser(
            "doctor",
            help="say what this machine lacks, and what to do about it",
            usage="npuserve doctor [--json] [--acl-library FILE]",
            description="Checks driver, devices, CANN, the emulator, packages and the system. Exit code 1: a problem.",
        )
    )
    shadow.add_arguments(
        commands.add_parser(
            "shadow",
            help="serve, and compare a share of the answers with those of an old server",
            usage="npuserve shadow --reference HOST:PORT [FLAG ...] -- --model-repository DIR [FLAG OF SERVE ...]",
            description="Serves as npuserve serve does, and repeats a share of the gRPC requests at a reference.",
        )
    )
    commands.add_parser("version", help="print the version")
    parsed, unknown = parser.parse_known_args(given)
    if unknown:
        # The command's own parser, so that the usage is the command's.
        command = commands.choices[parsed.command]
        command.error(unrecognized(command, unknown))
    if parsed.command == "version":
        print(__version__)
        return 0
    if parsed.command == "bench":
        return bench.run(parsed)
    if parsed.command == "describe":
        return describe.run(parsed, os.environ)
    if parsed.command == "doctor":
        return doctor.run(parsed, os.environ)
    if parsed.command == "plan":
        return plan.run(parsed)
    if parsed.command == "run":
        return run.run(parsed, os.environ)
    if parsed.command == "shadow":
        return shadow.run(parsed, os.environ)
    return serve.run(parsed, os.environ)


if __name__ == "__main__":
    sys.exit(main())
