// Without libFuzzer: each file of a corpus is given to the target once. Those named whole… must be read, all
// others refused.
#include <cstdint>
#include <cstdio>
#include <filesystem>

#include "base/file.hpp"
#include "fuzz/weights/target.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: corpus_… FOLDER\n", stderr);
    return 2;
  }
  int files = 0, wrong = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    const std::string name = entry.path().filename().string(), content = hydrajob::read_file(entry.path());
    const bool read =
        hydrajob::test::is_read(reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
    ++files;
    if (read == name.starts_with("whole")) continue;
    ++wrong;
    std::printf("%s: %s\n", name.c_str(), read ? "is read, expected to be refused" : "is refused");
  }
  std::printf("%d files\n", files);
  return files > 0 && wrong == 0 ? 0 : 1;
}
