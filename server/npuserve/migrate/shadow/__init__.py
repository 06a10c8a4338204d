"""Beside a server, an old one: live requests are repeated there, and the answers are compared."""

from npuserve.migrate.shadow.live import Shadow
from npuserve.migrate.shadow.options import ShadowOptions

__all__ = ["Shadow", "ShadowOptions"]
