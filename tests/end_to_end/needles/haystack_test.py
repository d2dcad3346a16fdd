"""Documents of random texts and facts, and of token ids, against the same in Python.

usage: haystack_test.py PROBE; HJ_TEST_SEED repeats a run
"""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from reference import draw_facts, haystack, probe_text, token_needles

PROBE = sys.argv[1]
SEED = int(os.environ.get("HJ_TEST_SEED", random.SystemRandom().randrange(1 << 31)))
ALPHABET = "abcdeé中 .\n,;"


def random_text(rng):
    text = "".join(rng.choices(ALPHABET + "  ", k=rng.randrange(3000, 6000)))
    return text + "." * 60, rng.choice(["\n", "\r\n", "\r"])


def random_facts(rng):
    names = [f"N{i}" for i in rng.sample(range(1000), rng.randrange(2, 40))]
    return [(name, rng.choice(["blue", "dark red", "it's RED", "gelb-grün"])) for name in names]


def check_text(rng, folder):
    text, end = random_text(rng)
    (folder / "text").write_text(text, newline=end, encoding="utf-8")
    facts, few_shot = random_facts(rng), 0
    if rng.random() < 0.5:
        names = [name for name, _ in facts]
        facts = draw_facts(names)
        lines = ["name", *names]
    else:
        lines = ["color,more,name", *(f"{color},x,{name}" for name, color in facts)]
    (folder / "facts").write_text("\n".join(lines), encoding="utf-8")
    few_shot, text_length = rng.randrange(len(facts)), rng.randrange(1500)
    expected = haystack(facts, text, few_shot, text_length)
    assert probe_text(PROBE, folder / "text", folder / "facts", few_shot, text_length) == expected


def check_ids(rng):
    needles = rng.randrange(1, 200)
    request = (rng.choice([0, 1, rng.randrange(1 << 53)]), 2 * needles + rng.randrange(1, 1000),
               1 + 2 * needles + rng.randrange(3000), needles, rng.randrange(1, 20))
    out = subprocess.run([PROBE, "ids", *map(str, request)], capture_output=True, text=True, check=True).stdout
    document, *questions = [[int(i) for i in line.split()] for line in out.split("\n")]
    expected, asked = token_needles(*request)
    assert document == expected, request
    assert [(needle, ids) for needle, *ids in questions] == [(needle, ids) for needle, ids, _ in asked], request


print(f"HJ_TEST_SEED={SEED}")
generator = random.Random(SEED)
with tempfile.TemporaryDirectory() as name:
    for _ in range(60):
        check_text(generator, Path(name))
        check_ids(generator)
