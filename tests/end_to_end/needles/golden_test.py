"""The reference's own document, of its text and its facts: the sha256 of its base prompt.

usage: golden_test.py PROBE SOURCE_FOLDER
The data are not part of this repository: HYDRAJOB_NEEDLE_DATA names a folder with war_and_peace.txt and needle_facts.csv,
else shared/data beside the checkout is looked into. Skips (exit code 77) where they are not.
"""

import csv
import hashlib
import os
import random
import sys
import tempfile
from pathlib import Path

from reference import probe_text

PROBE, SOURCE = sys.argv[1], Path(sys.argv[2])
DATA = Path(os.environ.get("HYDRAJOB_NEEDLE_DATA",
                           Path(os.environ.get("HJ_SHARED", SOURCE.parent / "shared")) / "data"))
TEXT, FACTS = DATA / "war_and_peace.txt", DATA / "needle_facts.csv"
SHA256 = "e4e423beed006f7fb69d56bc983c3bc34a08e86226c108f1418d2f54b521c254"
BYTES, SHOWN, ASKED = 82_217, ["Nathan", "Robert", "Milo", "Jacob", "Edward"], ["Caden", "Axel", "Elliot", "Beau"]


def name_in(question):
    return question.removesuffix("?\nAnswer:").rpartition(" ")[2]


def names_before_the_draw(facts):
    """The reference's list of names: the facts stand in the order that its shuffle gave."""
    random.seed(9)
    for _ in facts:
        random.choice(range(8))
    order = list(range(len(facts)))
    random.shuffle(order)
    names = [""] * len(facts)
    for fact, before in zip(facts, order):
        names[before] = fact["name"]
    return names


def check(facts_file):
    prompt, questions = probe_text(PROBE, TEXT, facts_file, 5, 50_000)
    found = hashlib.sha256(prompt.encode()).hexdigest()
    print(f"{facts_file}: {len(prompt.encode())} bytes, sha256 {found}")
    assert (len(prompt.encode()), found) == (BYTES, SHA256)
    shown = [name_in(part.partition(" ###")[0]) for part in prompt.split("Question: ")[1:]]
    assert shown == SHOWN, shown
    assert [name_in(question) for question, _, _ in questions[:4]] == ASKED, questions[:4]
    assert len(questions) == 256
    return questions


if not (TEXT.is_file() and FACTS.is_file()):
    print(f"skipped: no {TEXT.name} and {FACTS.name} in {DATA}; HYDRAJOB_NEEDLE_DATA names their folder")
    sys.exit(77)
rows = list(csv.DictReader(FACTS.open()))
questions = check(FACTS)
roles = sorted((row for row in rows if row["role"] == "question"), key=lambda row: int(row["role_order"]))
assert [(row["color"].title(), int(row["document_order"])) for row in roles] == [q[1:] for q in questions]
with tempfile.TemporaryDirectory() as folder:
    names = Path(folder) / "names.csv"
    names.write_text("\n".join(["name", *names_before_the_draw(rows)]))
    assert check(names) == questions
