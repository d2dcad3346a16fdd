#include "base/file.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/stat.h>
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

TEST(File, WhatIsNoFileIsNamed) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "file", pipe = folder.path() / "pipe", link = folder.path() / "link";
  std::ofstream(file) << "text";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  fs::create_symlink(pipe, link);
  EXPECT_EQ(other_than_file(file), "");
  EXPECT_EQ(other_than_file(folder.path() / "none"), "");
  EXPECT_EQ(other_than_file(folder.path()), "a folder");
  EXPECT_EQ(other_than_file("/dev/full"), "a device");
  EXPECT_EQ(other_than_file(pipe), "a pipe");
  EXPECT_EQ(other_than_file(link), "a pipe");
}

TEST(File, WhetherOneIsThereMayNotBeKnown) {
  const TemporaryFolder folder;
  EXPECT_TRUE(is_there(folder.path()));
  EXPECT_FALSE(is_there(folder.path() / "none"));
  try {
    is_there(folder.path() / std::string(300, 'a'));
    FAIL() << "known";
  } catch (const StoreError& e) {
    EXPECT_NE(std::string(e.what()).find("aaa: cannot be read: File name too long"), std::string::npos);
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

TEST(File, BeginsAsHdf5OnlyWhereItIsAFile) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "file", pipe = folder.path() / "pipe";
  EXPECT_FALSE(begins_as_hdf5(file));
  std::ofstream(file, std::ios::binary) << "\x89HDF\r\n\x1a\nand more";
  EXPECT_TRUE(begins_as_hdf5(file));
  std::ofstream(file, std::ios::binary) << "\x89HDF";
  EXPECT_FALSE(begins_as_hdf5(file));
  EXPECT_FALSE(begins_as_hdf5(folder.path()));
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_FALSE(begins_as_hdf5(pipe)) << "it does not wait for the other end";
}

}  // namespace
}  // namespace hydrajob
