"""Small tokenizers, trained on the project's own pages and sources with the settings of the models that hydrajob runs."""

import io
import json

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")


def corpus(source):
    """Lines of English, C++ and Python, and some of what they lack."""
    files = sorted([*source.glob("docs/*.md"), *source.glob("src/*/*.cpp"), *source.glob("analysis/**/*.py")])
    lines = [line for path in files for line in path.read_text().splitlines()]
    return [line for line in lines if line.strip()] + ["naïve 中文 日本語 한국어 привет мир שלום 😀 ½ é"] * 20


def sentencepiece_model(lines, **settings):
    """Llama-2's settings unless others are given."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, num_threads=1, minloglevel=2, **{
            "model_type": "bpe", "vocab_size": 1500, "byte_fallback": True, "split_digits": True,
            "normalization_rule_name": "identity", "add_dummy_prefix": True, "remove_extra_whitespaces": False,
            "allow_whitespace_only_pieces": True, "character_coverage": 0.9995, "max_sentence_length": 16384,
            "user_defined_symbols": ["▁<PRE>", "<mask>"], **settings})
    return out.getvalue()


def special(content):
    return AddedToken(content, special=True, normalized=False)


def byte_level_bpe(lines, pre_tokenizer, ignore_merges=False, bos=True, added=(), normalizer=None):
    """Llama-3's shape."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=2000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=[special("<|begin|>"), special("<|eot|>")]))
    tokenizer.add_tokens(list(added))
    if bos:
        template = processors.TemplateProcessing("<|begin|> $A", "<|begin|> $A $B", [("<|begin|>", 0)])
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer.to_str()


def llama3(lines, **settings):
    return byte_level_bpe(lines, pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        **settings)


def llama3_with_nfc(lines):
    return llama3(lines, normalizer=normalizers.NFC(), added=[AddedToken("e\u0301", normalized=True)])


def with_missing_merges(text):
    """Words that are tokens, but that no merge leads to: what ignore_merges is for."""
    file = json.loads(text)
    file["model"]["merges"] = file["model"]["merges"][::2]
    known = set("".join(merge) if isinstance(merge, list) else merge.replace(" ", "") for merge in file["model"]["merges"])
    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    reachable = known | alphabet
    file["model"]["merges"] = [merge for merge in file["model"]["merges"] if set(merge) <= reachable]
    return json.dumps(file)


def with_old_merges(text):
    file = json.loads(text)
    file["model"]["merges"] = [" ".join(merge) for merge in file["model"]["merges"]]
    return json.dumps(file)


def gpt2(lines):
    return byte_level_bpe(lines, pre_tokenizers.ByteLevel(add_prefix_space=True), bos=False)


def several_splits(lines):
    """DeepSeek's shape, and added tokens that are looked for in different ways."""
    steps = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in
             (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+")]
    return byte_level_bpe(lines, pre_tokenizers.Sequence([
        *steps, pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        added=[AddedToken("<|beg", normalized=False), AddedToken("<mask>", normalized=True), AddedToken("é ", normalized=True)])


def converted(model, legacy, **settings):
    """A sentencepiece model as transformers converts it to a tokenizer.json: `legacy`: the normalizer puts a space before
    every part of a text between special tokens; otherwise only where the text begins. `settings`: of its BPE."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    merges = []
    for piece in pieces:
        parts = [(piece[:i], piece[i:]) for i in range(1, len(piece)) if piece[:i] in vocab and piece[i:] in vocab]
        merges += [(*part, vocab[piece]) for part in sorted(parts, key=lambda part: (vocab[part[0]], vocab[part[1]]))]
    merges = [merge[:2] for merge in sorted(merges, key=lambda merge: -processor.get_score(merge[2]))]
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", **{"fuse_unk": True, "byte_fallback": True, **settings}))
    tokenizer.add_special_tokens([special("<unk>"), special("<s>"), special("</s>")])
    tokenizer.add_tokens([AddedToken(symbol, normalized=False) for symbol in ("▁<PRE>", "<mask>")])
    tokenizer.add_tokens([AddedToken(symbol, normalized=True) for symbol in ("<n>", "x y")])
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", 1)])
    return tokenizer.to_str()
