"""Texts of every kind that has ever broken a tokenizer, from a seed."""

import unicodedata

WORDS = ("the of and model prefix attention don't I'm we'll they've you're HE'S naïve straße Ångström coöperate "
         "tokenizer def return import self None std::vector const int for if else nullptr README.md snake_case "
         "CamelCase HTTPServer 3rd x86_64 0xdeadbeef https://example.org/a?b=c&d=e#f user@host.org").split()
EAST_ASIAN = [(0x4E00, 0x9FA6), (0x4E00, 0x4F00), (0x3041, 0x3097), (0x30A1, 0x30FB), (0xAC00, 0xD7A4), (0x3001, 0x3011)]
SPACES = [" ", "\t", "\n", "\r", "\r\n", "\v", "\f", "\x85", "\xa0", "\u1680", "\u180e", "\u2003", "\u2028", "\u200b",
          "\u202f", "\u3000", "\ufeff"]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇯🇵🇺🇸", "❤️", "1️⃣", "🧑🏿‍🚀", "☃", "🫠"]
MARKED = ["e\u0301", "a\u0308\u0323", "क्षि", "กำ", "नमस्ते", "שָׁלוֹם", "مَرْحَبًا", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞", "각", "각", "ǆ", "ﬁ", "ſ'ſ", "'ſ", "İi̇"]
# What means something to tokenizers.
SIGNS = ["▁", "▁▁", "▁a", "<s>", "</s>", "<unk>", "<0x0A>", "<0xE2>", "<|eot|>", "<|begin|>", "<|beg", "<mask>", "<n>", "x y",
         "Ġ", "Ċ", "Ã©", "⁇", "\ufffd", "\ufffe", "\U0010ffff", "'s", "'S", "'LL", "’s", "'"]
CODE = ["    if (a[i] != b) {\n", "\t\treturn x->y(&z, 0x1F);\n", "}\n\n\n", "#include <vector>\r\n", "for i in range(10):\n  ",
        "/* comment */", "a+=b*c%d;", "\"\\n\\t\"", "$((1+2))", "<div class=\"x\">", "&amp;", "{{{{", "]]]]", "====", "-----", "...."]
DAMAGED = [b"\xff", b"\xc0\x80", b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\x80\x80", b"\xf4\x90\x80\x80", b"\xc3"]


def assigned_character(rng):
    """Classes of characters that newer Unicode added differ between libraries; those of old ones do not."""
    while True:
        code = rng.choice((rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0x10000), rng.randrange(0x20000)))
        c = chr(code)
        if not 0xD800 <= code < 0xE000 and unicodedata.ucd_3_2_0.category(c) == unicodedata.category(c) != "Cn":
            return c


def fragment(rng):
    kind = rng.randrange(12)
    if kind < 3:
        return rng.choice(("", " ")) + rng.choice(WORDS)
    if kind == 3:
        return rng.choice(SPACES[:3]) * rng.choice((1, 2, 3, 4, 7, 8, 15, 64, 300))
    if kind == 4:
        return rng.choice(SPACES) * rng.randrange(1, 4)
    if kind == 5:
        return "".join(rng.choice("0123456789") for _ in range(rng.choice((1, 2, 3, 4, 5, 9, 40)))) + rng.choice(("", "½", "٣", "Ⅷ"))
    if kind == 6:
        return "".join(chr(rng.randrange(*rng.choice(EAST_ASIAN))) for _ in range(rng.randrange(1, 9)))
    if kind == 7:
        return rng.choice(EMOJI) + rng.choice(MARKED)
    if kind == 8:
        return rng.choice(SIGNS)
    if kind == 9:
        return rng.choice(CODE)
    if kind == 10:
        return "".join(assigned_character(rng) for _ in range(rng.randrange(1, 6)))
    return chr(rng.randrange(32)) + rng.choice(("", "\x7f", "\x00"))


def text(rng):
    """Bytes: one in twenty has some that are not UTF-8."""
    parts = [fragment(rng).encode() for _ in range(rng.choice((0, 1, 2, 3, 5, 8, 13, 30)))]
    if rng.randrange(20) == 0:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(DAMAGED))
    return b"".join(parts)


def texts(rng, number):
    return [text(rng) for _ in range(number)]
