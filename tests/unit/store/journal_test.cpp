// A journal gives back every event whose line is whole, wherever its writer died.
#include "store/journal.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "unit/base/temporary_folder.hpp"

namespace hydrajob {
namespace {

std::string text_of(const JournalEvent& e) {
  return e.kind + '|' + e.run_id + '|' + std::to_string(e.attempt) + '|' + e.text;
}

std::vector<std::string> texts_in(const std::filesystem::path& path) {
  std::vector<std::string> texts;
  for (const JournalEvent& event : read_journal(path)) texts.push_back(text_of(event));
  return texts;
}

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    Journal journal(path_);
    for (const JournalEvent& event : events_) journal.append(event);
    std::ifstream in(path_, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(in), {});
    for (const JournalEvent& event : events_) whole_.push_back(text_of(event));
  }

  std::vector<std::string> texts_with(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
    return texts_in(path_);
  }

  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "journal-1.log";
  std::vector<JournalEvent> events_{{"opened", "", 0, "results/a #1.h5"},
                                    {"started", std::string(32, 'a'), 1, "group 0"},
                                    {"finished", std::string(32, 'a'), 1, "ok"},
                                    {"note", "", 0, "interrupted by SIGTERM"},
                                    {"abandoned", std::string(32, 'b'), 12, ""}};
  std::string bytes_;
  std::vector<std::string> whole_;
};

TEST_F(JournalTest, gives_back_what_was_written) {
  EXPECT_EQ(texts_in(path_), whole_);
}

TEST_F(JournalTest, torn_at_every_byte_keeps_the_lines_before) {
  for (std::size_t size = 0; size < bytes_.size(); ++size) {
    const std::string kept = bytes_.substr(0, size);
    // The line break itself says nothing: a line without it is whole.
    const auto lines = std::count(kept.begin(), kept.end(), '\n') + (bytes_[size] == '\n' ? 1 : 0);
    EXPECT_EQ(texts_with(kept), std::vector<std::string>(whole_.begin(), whole_.begin() + lines))
        << "torn at byte " << size;
  }
}

TEST_F(JournalTest, a_flipped_bit_costs_its_line_and_no_other) {
  for (std::size_t at = 0; at < bytes_.size(); ++at) {
    std::string damaged = bytes_;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    auto expected = whole_;
    const auto line = std::count(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    // Without its line break, a line takes the next with it.
    const bool joined = bytes_[at] == '\n' && line + 1 < static_cast<std::ptrdiff_t>(expected.size());
    if (bytes_[at] != '\n' || joined)
      expected.erase(expected.begin() + line, expected.begin() + line + (joined ? 2 : 1));
    if (bytes_[at] == '\n' && !joined) expected.pop_back();
    EXPECT_EQ(texts_with(damaged), expected) << "byte " << at;
  }
}

TEST_F(JournalTest, line_breaks_in_a_text_do_not_make_lines) {
  Journal journal(folder_.path() / "journal-2.log");
  journal.append({"note", "", 0, "one\ntwo"});
  EXPECT_EQ(texts_in(journal.path()), std::vector<std::string>{"note||0|one two"});
}

TEST_F(JournalTest, a_full_disk_is_said_and_the_next_line_is_whole) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  std::filesystem::create_symlink("/dev/full", folder_.path() / "journal-3.log");
  Journal journal(folder_.path() / "journal-3.log");
  try {
    journal.append({"note", "", 0, "x"});
    FAIL() << "nothing thrown";
  } catch (const StoreError& e) {
    EXPECT_NE(std::string(e.what()).find("journal-3.log"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("No space"), std::string::npos) << e.what();
  }
}

TEST_F(JournalTest, only_journals_are_listed_in_order) {
  for (const char* name : {"journal-0.log", "journal-2.log.tmp", "lease"})
    std::ofstream(folder_.path() / name) << "x";
  const auto found = journals_in(folder_.path());
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].filename(), "journal-0.log");
  EXPECT_EQ(found[1].filename(), "journal-1.log");
}

}  // namespace
}  // namespace hydrajob
