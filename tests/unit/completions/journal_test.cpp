// A journal cut off anywhere: its whole lines are there, and it goes on behind them.
#include "completions/journal.hpp"

#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "unit/base/temporary_folder.hpp"

using namespace hydrajob;

namespace {

Completion completion(std::int64_t number) {
  Completion c;
  c.number = number;
  c.tokens = {1, 2, static_cast<TokenId>(number)};
  c.text = "text \"of\"\n#" + std::to_string(number) + std::string(1, '\0') + "é";
  c.reason = FinishReason::stop;
  return c;
}

void expect_same(const Completion& a, const Completion& b) {
  EXPECT_EQ(a.number, b.number);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(a.reason, b.reason);
}

}  // namespace

TEST(CompletionJournal, GoesOnBehindWhatIsWhole) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "out.jsonl.partial";
  for (int trial = 0; trial < 60; ++trial) {
    {
      CompletionJournal journal(file, "job");
      EXPECT_EQ(journal.size(), 0);
      journal.append({completion(4), completion(9)});
      journal.append({completion(2)});
    }
    const std::string whole = read_file(file);
    const std::size_t length = rng() % (whole.size() + 1);
    std::filesystem::resize_file(file, length);
    if (length > 20 && rng() % 2 == 0) std::ofstream(file, std::ios::app) << std::string(rng() % 5, '\0');
    {
      CompletionJournal journal(file, "job");
      for (const std::int64_t number : {4, 9, 2}) {
        if (journal.has(number)) expect_same(journal.read(number), completion(number));
      }
      const auto lines = std::count(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length), '\n');
      EXPECT_EQ(journal.size(), std::max<std::int64_t>(lines - 1, 0));
      journal.append({completion(30)});
      expect_same(journal.read(30), completion(30));
    }
    CompletionJournal again(file, "job");
    ASSERT_TRUE(again.has(30));
    expect_same(again.read(30), completion(30));
    again.remove();
  }
}

TEST(CompletionJournal, IsOneJobs) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "out.jsonl.partial";
  {
    CompletionJournal journal(file, "job");
    EXPECT_THROW(CompletionJournal(file, "job"), UsageError);  // open already
  }
  EXPECT_THROW(CompletionJournal(file, "other"), UsageError);
  std::ofstream(file) << "somebody's notes\n";
  EXPECT_THROW(CompletionJournal(file, "job"), UsageError);
  EXPECT_EQ(read_file(file), "somebody's notes\n");
}

TEST(CompletionJournal, ADamagedLineCostsItsCompletionAlone) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "out.jsonl.partial";
  CompletionJournal(file, "job").append({completion(4), completion(9), completion(2)});
  std::string text = read_file(file);
  text[text.find("\"number\":9") + 9] = '8';
  std::ofstream(file, std::ios::binary) << text;
  {
    CompletionJournal journal(file, "job");
    EXPECT_EQ(journal.size(), 2);
    EXPECT_FALSE(journal.has(9) || journal.has(8));
    expect_same(journal.read(2), completion(2));
    journal.append({completion(9)});
  }
  CompletionJournal again(file, "job");
  EXPECT_EQ(again.size(), 3);
  expect_same(again.read(9), completion(9));
}

TEST(CompletionJournal, IsNotEmptiedForADamagedBeginning) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "out.jsonl.partial";
  CompletionJournal(file, "job").append({completion(4)});
  std::string text = read_file(file);
  text[text.find("job", 5) + 1] = 'u';
  std::ofstream(file, std::ios::binary) << text;
  EXPECT_THROW(CompletionJournal(file, "job"), UsageError);
  EXPECT_EQ(read_file(file), text);
}
