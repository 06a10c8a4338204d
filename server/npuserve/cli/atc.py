"""`npuserve atc`: the model compiler, the vendor's or the emulator's, with the vendor's flags."""

import os
import sys
from collections.abc import Mapping, Sequence

from npuserve.cli.acl_library import LibraryNotFoundError, atc_program


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Become the compiler; return 1 if there is none."""
    try:
        program = atc_program(environment)
        os.execv(program, [str(program), *arguments])
    except (LibraryNotFoundError, OSError) as error:
        print(f"npuserve atc: error: {error}", file=sys.stderr)
        return 1
