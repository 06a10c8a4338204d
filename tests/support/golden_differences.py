"""Where npuserve's answers differ from Triton's on purpose: the table that docs/compatibility.md shows."""

# Calls that end the real server's process, by family: they are not recorded.
PEER_DIES = {"streaming": ("strict stream: a decoupled error",)}
