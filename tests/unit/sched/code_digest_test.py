"""The build's digest: it changes with the sources that shape a result, and with no others."""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SCRIPT = sys.argv.pop()
CMAKE = sys.argv.pop()


class CodeDigest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = pathlib.Path(folder.name)
        self.write("src/engine/a.cpp", "int a;")
        self.write("kernels/cpu/b.cpp", "int b;")
        self.write("src/store/c.cpp", "int c;")
        for name in ("base/bf16.hpp", "base/element.hpp", "base/f16.hpp", "base/philox.hpp", "grid/cost_model.cpp",
                     "grid/cost_model.hpp"):
            self.write("src/" + name, "")

    def write(self, name, text):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def header(self, flags="-O3"):
        output = self.tree / "build_info.hpp"
        subprocess.run([CMAKE, f"-DSOURCE_DIR={self.tree}", f"-DOUTPUT={output}", f"-DFLAGS={flags}", "-P", SCRIPT],
                       check=True)
        return output

    def digest(self, flags="-O3"):
        return re.search(r'code_digest\[\] = "([0-9a-f]{32})"', self.header(flags).read_text()).group(1)

    def test_same_sources_same_digest_and_an_untouched_header(self):
        first = self.digest()
        before = self.header().stat().st_mtime_ns
        self.assertEqual(self.digest(), first)
        self.assertEqual(self.header().stat().st_mtime_ns, before)

    def test_a_changed_kernel_changes_it(self):
        first = self.digest()
        self.write("kernels/cpu/b.cpp", "int b = 1;")
        self.assertNotEqual(self.digest(), first)

    def test_the_values_of_weights_and_the_choice_of_auto_change_it(self):
        digests = {self.digest()}
        for name in ("weights/random_weights.cpp", "base/philox.hpp", "grid/cost_model.cpp"):
            self.write("src/" + name, "int d;")
            digests.add(self.digest())
        self.assertEqual(len(digests), 4)

    def test_other_flags_change_it(self):
        self.assertNotEqual(self.digest(), self.digest("-O0 -g sanitized"))

    def test_a_new_and_a_renamed_source_change_it(self):
        first = self.digest()
        self.write("src/workload/n.hpp", "")
        second = self.digest()
        (self.tree / "src/workload/n.hpp").rename(self.tree / "src/workload/m.hpp")
        self.assertEqual(len({first, second, self.digest()}), 3)

    def test_the_store_and_the_documents_do_not(self):
        first = self.digest()
        self.write("src/store/c.cpp", "int c = 1;")
        self.write("docs/engine.md", "text")
        self.assertEqual(self.digest(), first)

    def test_outside_a_repository_the_commit_is_empty(self):
        self.assertIn('commit[] = ""', self.header().read_text())


if __name__ == "__main__":
    unittest.main()
