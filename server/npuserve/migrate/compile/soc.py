"""Names of chips."""

import re

from npuserve.migrate.errors import MigrationError

# What `--soc_version` takes, and the folder of the operator information that stands for it.
_CHIPS = (
    (re.compile(r"Ascend910B([1-4]|2C|4-1)"), "ascend910b"),
    (re.compile(r"Ascend910_93\d{2}"), "ascend910_93"),
    (re.compile(r"Ascend910(A|B|ProA|ProB|PremiumA)"), "ascend910"),
    (re.compile(r"Ascend310P[1-7]"), "ascend310p"),
    (re.compile(r"Ascend310B[1-4]"), "ascend310b"),
    (re.compile(r"Ascend310"), "ascend310"),
    (re.compile(r"Ascend950\w*"), "ascend950"),
)


def operator_folder(soc_version: str) -> str:
    """Return the name that a chip's operator information has within CANN. Raises MigrationError."""
    for pattern, folder in _CHIPS:
        if pattern.fullmatch(soc_version):
            return folder
    raise MigrationError(
        f"soc_version is '{soc_version}', which names no chip: it must be 'Ascend' and the name that `npu-smi info` "
        "shows, as Ascend910B3",
        "set soc_version under [compile] to 'Ascend' and the Name column of `npu-smi info` on the machine that serves",
    )
