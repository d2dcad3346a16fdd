"""The order of the modules in docs/architecture.md, kept by every include; each foreign library in its modules only.

The page's own table is compared with the order here, so that it cannot go stale."""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(sys.argv.pop())

# Levels within which modules may not include each other: "base -> config, device, store, tokenizer -> needles -> …".
LEVELS = [["base"], ["config", "device", "store", "tokenizer"], ["needles"], ["grid", "comm", "kernels"], ["timing", "weights"], ["engine"],
          ["workload"], ["sched"], ["completions"], ["main"]]
HEADERS_OF = {
    "YAML": r"yaml-cpp/", "HDF5": r"(hdf5|H5\w+)(_hl)?\.h", "MPI": r"mpi\.h", "oneDNN": r"(dnnl|oneapi)",
    "OpenMP": r"omp\.h", "CUDA": r"(cuda|cublas)", "NCCL": r"nccl\.h", "spdlog": r"spdlog/", "xxHash": r"xxh",
    "Boost": r"boost/", "nlohmann-json": r"nlohmann/",
    "sentencepiece": r"sentencepiece", "PCRE2": r"pcre2", "utf8proc": r"utf8proc",
}
ALLOWED_IN = {
    "YAML": {"config"}, "HDF5": {"store", "weights"}, "MPI": {"comm"}, "oneDNN": {"kernels"},
    "OpenMP": {"kernels", "weights", "comm"}, "CUDA": {"device", "kernels"}, "NCCL": {"comm"}, "spdlog": {"base"},
    "xxHash": {"base"}, "Boost": {"main"}, "nlohmann-json": {"base", "store", "weights", "sched", "tokenizer", "completions"},
    "sentencepiece": {"tokenizer"}, "PCRE2": {"tokenizer"}, "utf8proc": {"tokenizer"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def module_of(path):
    parts = path.relative_to(ROOT).parts
    return "kernels" if parts[0] == "kernels" else parts[1]


def sources():
    for top in ("src", "kernels"):
        for suffix in ("*.cpp", "*.hpp", "*.cu", "*.cuh"):
            yield from sorted((ROOT / top).rglob(suffix))


def includes():
    """(file, its module, '"' or '<', what it includes)"""
    for path in sources():
        for quote, target in INCLUDE.findall(path.read_text()):
            yield path.relative_to(ROOT), module_of(path), quote, target


def level_of(module):
    return next(i for i, level in enumerate(LEVELS) if module in level)


class Layering(unittest.TestCase):
    def test_every_module_has_its_place_and_its_row(self):
        modules = {module_of(path) for path in sources()}
        self.assertEqual(modules, {m for level in LEVELS for m in level})
        rows = re.findall(r"^\| `(\w+)/?` \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
        self.assertEqual(set(rows), modules, "docs/architecture.md lists other modules than there are")
        order = [level_of(m) for m in rows]
        self.assertEqual(order, sorted(order), "docs/architecture.md lists the modules in another order")

    def test_a_module_includes_only_those_before_it(self):
        wrong = []
        for path, module, quote, target in includes():
            other = target.split("/")[0]
            if quote == "<" or "/" not in target or other == module:
                continue
            known = any(other in level for level in LEVELS)
            if not known or level_of(other) >= level_of(module):
                wrong.append(f"{path} includes {target}")
        self.assertEqual(wrong, [])

    def test_foreign_libraries_stay_in_their_modules(self):
        wrong = []
        for path, module, _, target in includes():
            for library, pattern in HEADERS_OF.items():
                if re.match(pattern, target, re.IGNORECASE) and module not in ALLOWED_IN[library]:
                    wrong.append(f"{path} includes {target}: {library} is for {', '.join(sorted(ALLOWED_IN[library]))}")
        self.assertEqual(wrong, [])

    def test_own_headers_are_included_by_module_and_exist(self):
        generated = {"build_info.hpp"}
        wrong = [f"{path} includes {target}" for path, _, quote, target in includes()
                 if quote == '"' and target not in generated
                 and not (ROOT / "src" / target).is_file() and not (ROOT / target).is_file()]
        self.assertEqual(wrong, [])

    def test_no_cycles_between_headers(self):
        graph = {}
        for path, _, quote, target in includes():
            name = str(path.relative_to("src")) if path.parts[0] == "src" else str(path)
            if quote == '"' and path.suffix in (".hpp", ".cuh"):
                graph.setdefault(name, []).append(target)
        done, way = set(), []

        def visit(name):
            self.assertNotIn(name, way, " -> ".join(way + [name]))
            if name in done:
                return
            way.append(name)
            for target in graph.get(name, []):
                visit(target)
            way.pop()
            done.add(name)

        for name in graph:
            visit(name)

    def test_headers_are_guarded_and_files_say_what_they_are(self):
        wrong = []
        for path in sources():
            text = path.read_text()
            if path.suffix == ".hpp" and "#pragma once" not in text:
                wrong.append(f"{path}: no #pragma once")
            if path.suffix == ".hpp" and not text.startswith("//"):
                wrong.append(f"{path}: does not open by saying what it is")
        self.assertEqual(wrong, [])

    def test_a_header_is_the_first_include_of_its_own_source(self):
        """So that it is compiled alone; tests/layering/CMakeLists.txt does that with those that have no source."""
        wrong = []
        for path in sources():
            own = path.with_suffix(".hpp")
            if path.suffix != ".cpp" or not own.is_file():
                continue
            name = str(own.relative_to(ROOT / "src" if ROOT / "src" in own.parents else ROOT))
            first = INCLUDE.search(path.read_text())
            if first is None or first.group(2) != name:
                wrong.append(f"{path}: its first include has to be {name}")
        self.assertEqual(wrong, [])

    def test_files_stay_short(self):
        wrong = [f"{path}: {n} lines" for path in sources() if (n := len(path.read_text().splitlines())) > 500]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
