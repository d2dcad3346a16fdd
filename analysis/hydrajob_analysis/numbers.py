"""Numbers as people read them: four significant digits, thousands separated, SI prefixes for times."""

import math

DASH = "–"


def significant(value, like=None, digits=4):
    """1234.5 → "1,234", 6.2134 → "6.213"; `like`: with as many decimals as that value would have."""
    if value is None or not math.isfinite(value):
        return DASH
    scale = value if like is None else like
    magnitude = math.floor(math.log10(abs(scale))) if scale else 0
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def interval(low, high, like):
    """"1,201–1,260"; empty where there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{significant(low, like)}{DASH}{significant(high, like)}"


def ratio(value):
    return "" if not math.isfinite(value) else f"{significant(value, digits=3)}×"


def percent(value):
    return "" if not math.isfinite(value) else f"{100 * value:.1f} %"


def duration(seconds):
    """0.00123 → "1.230 ms"."""
    if not math.isfinite(seconds):
        return ""
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{significant(seconds * factor)} {unit}"
    return f"{significant(seconds * 1e9)} ns"


def count(number, noun, plural=None):
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
