"""A repository of Triton's as one of ours: what can be converted, what is copied, and what cannot be carried."""

from npuserve.migrate.triton.conversion import Migration
from npuserve.migrate.triton.outcome import HEAD, Outcome, as_json, rows
from npuserve.migrate.triton.plan import Planned, plan_migration
from npuserve.migrate.triton.write import Run, write

__all__ = ["HEAD", "Migration", "Outcome", "Planned", "Run", "as_json", "plan_migration", "rows", "write"]
