"""What a store must look like (docs/store.md), and the error for one that does not."""

FORMAT = "hydrajob-store"
SCHEMA_VERSION = 1

# Columns of /runs that every store has; parameters (param.*) and metrics are discovered from the file.
RUN_COLUMNS = (
    "run", "run_id", "attempt", "status", "reason", "convergence", "experiment", "group", "first_rank",
    "started_unix_s", "finished_unix_s", "config", "environment",
)
SAMPLE_COLUMNS = ("value", "run", "rank", "iteration", "step", "warmup")

# What the device of a sample told of itself; a phase has those that any of its devices did. With numpy's type.
CONDITION_COLUMNS = {"sm_clock_mhz": "float64", "throttle_reasons": "Int64", "power_w": "float64"}

# The bits of throttle_reasons, NVML's clocks event reasons. Idle: nothing holds the clock down, nothing asks for it.
IDLE = 0x1
THROTTLE_REASONS = {
    0x2: "clock setting", 0x4: "power cap", 0x8: "hardware slowdown", 0x10: "sync boost", 0x20: "thermal, by software",
    0x40: "thermal, by hardware", 0x80: "power brake", 0x100: "display clock setting",
}

STATUSES = ("ok", "failed", "out_of_memory", "timed_out", "crashed", "skipped")

# In the order in which tables and legends show them: the ceiling first, then what approaches it.
MODES = ("noattention", "hydragen", "auto", "paged", "noshared", "vllm_notok", "vllm")


class StoreError(Exception):
    """The file is not a store that this package can read; the message says which, where and what was expected."""


def mode_rank(mode):
    """Sort key: known modes in the order of MODES, others behind them by name."""
    return (MODES.index(mode), "") if mode in MODES else (len(MODES), mode)
