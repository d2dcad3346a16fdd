"""The needle benchmark's document and questions, written again in Python with its own `random`."""

import random
import subprocess

COLORS = ["black", "white", "brown", "yellow", "orange", "red", "green", "blue"]


def draw_facts(names):
    """(name, color), in the order of the document."""
    random.seed(9)
    facts = [(name, random.choice(COLORS)) for name in names]
    random.shuffle(facts)
    return facts


def haystack(facts, text, few_shot, text_length):
    """The prompt, and (prompt, answer, place of the fact) of each question."""
    length, at, parts = text_length // (len(facts) - 1), 0, []
    for i, (name, color) in enumerate(facts):
        parts.append(f"The dog named {name} has fur that is {color}.")
        if i < len(facts) - 1:
            end = text.index(".", at + length) + 1
            parts.append(text[at:end])
            at = end
    prompt = "Start of document:\n" + " ".join(parts).replace("\n", " ").replace("  ", " ") + "\nEnd of document\n\n"
    order = list(range(len(facts)))
    random.seed(9)
    random.shuffle(order)
    asked = [(f"Question: What color is the fur of the dog named {facts[i][0]}?\nAnswer:", facts[i][1].title(), i)
             for i in order]
    prompt += "".join(f"{question} ###{answer}###\n\n" for question, answer, _ in asked[:few_shot])
    return prompt, asked[few_shot:]


def token_needles(seed, vocab, length, needles, question_length):
    """The document's ids, and (needle, ids, value) of each question."""
    random.seed(seed)
    fillers = vocab - 2 * needles
    keys = list(range(fillers, fillers + needles))
    values = list(range(fillers + needles, vocab))
    random.shuffle(keys)
    random.shuffle(values)
    document = [random.randrange(fillers) for _ in range(length)]
    for i in range(needles):
        at = 1 + i * (length - 1) // needles
        document[at:at + 2] = [keys[i], values[i]]
    order = list(range(needles))
    random.shuffle(order)
    return document, [(i, [random.randrange(fillers) for _ in range(question_length - 1)] + [keys[i]], values[i])
                      for i in order]


def probe_text(probe, text, facts, few_shot, text_length):
    """What haystack() returns, as hydrajob makes it of the two files."""
    done = subprocess.run([probe, "text", text, facts, str(few_shot), str(text_length)], capture_output=True, check=True)
    prompt, *rest = done.stdout.decode().split("\0")[:-1]
    return prompt, [(question, answer, int(fact)) for question, answer, fact in zip(*[iter(rest)] * 3)]
