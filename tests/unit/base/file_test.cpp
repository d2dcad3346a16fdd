#include "base/file.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "unit/base/temporary_folder.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;

void write_and_publish(const fs::path& path, const std::string& text) {
  const fs::path temporary = path.string() + ".tmp";
  std::ofstream(temporary, std::ios::binary) << text;
  publish_file(temporary, path);
}

std::ptrdiff_t files_in(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

TEST(File, WritesReadsAndReplaces) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a.txt";
  const std::string binary("one\0two\n", 8);
  write_and_publish(path, binary);
  EXPECT_EQ(read_file(path), binary);
  write_and_publish(path, "");
  EXPECT_EQ(read_file(path), "");
  EXPECT_EQ(files_in(folder.path()), 1) << "a temporary file was left";
}

TEST(File, AMissingFileIsAUsageErrorThatNamesIt) {
  const TemporaryFolder folder;
  try {
    read_file(folder.path() / "none.yaml");
    FAIL() << "read";
  } catch (const UsageError& e) {
    EXPECT_NE(std::string(e.what()).find("none.yaml"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("No such file"), std::string::npos);
  }
}

TEST(File, AFolderThatIsNotThereIsAStoreErrorThatNamesIt) {
  const TemporaryFolder folder;
  try {
    write_and_publish(folder.path() / "none" / "a.txt", "text");
    FAIL() << "written";
  } catch (const StoreError& e) {
    EXPECT_NE(std::string(e.what()).find("none/a.txt"), std::string::npos);
  }
}

// A writer killed at any moment leaves the old text or the new one.
TEST(File, AReaderSeesTheOldOrTheNewFileWhenTheWriterIsKilled) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a.txt";
  const std::string texts[] = {std::string(300000, 'a'), std::string(300000, 'b')};
  write_and_publish(path, texts[0]);
  for (int kill = 0; kill < 20; ++kill) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (int i = 0;; ++i) write_and_publish(path, texts[i % 2]);
    }
    ::usleep(static_cast<useconds_t>(500 + 700 * kill));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string text = read_file(path);
    EXPECT_TRUE(text == texts[0] || text == texts[1]) << text.size() << " bytes";
  }
}

}  // namespace
}  // namespace hydrajob
