// Segments give back every run that they were given, to the bit, or say that they are damaged.
#include "store/segment.hpp"

#include <cmath>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "store/sealed_file.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/store/file_records.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;
using test::small_record;

class Segment : public ::testing::Test {
 protected:
  fs::path only() const { return segments_of(store_).at(0); }

  std::string bytes() const {
    std::ifstream in(only(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  test::TemporaryFolder folder_;
  fs::path store_ = folder_.path() / "x.h5";
};

TEST_F(Segment, gives_back_every_field_of_any_run) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  test::RandomRecords random(seed);
  for (int i = 0; i < 50; ++i) {
    const auto records = random.records(1 + static_cast<std::size_t>(i) % 3);
    commit_segment(store_, records);
    EXPECT_EQ(test::describe(read_segment(only())), test::describe(records));
    fs::remove(only());
  }
}

TEST_F(Segment, holds_several_runs_as_one_file) {
  commit_segment(store_, {small_record(std::string(32, 'a')), small_record(std::string(32, 'b'))});
  EXPECT_EQ(segments_of(store_).size(), 1U);
  EXPECT_EQ(read_segment(only()).size(), 2U);
  commit_segment(store_, std::vector<RunRecord>{});
  EXPECT_EQ(segments_of(store_).size(), 1U);
}

TEST_F(Segment, a_message_in_another_encoding_does_not_cost_the_run) {
  RunRecord record = small_record();
  record.status = RunStatus::failed;
  record.reason = "kein Platz f\xfcr mehr";
  commit_segment(store_, record);
  EXPECT_EQ(read_segment(only()).at(0).reason, "kein Platz f\xef\xbf\xbdr mehr");
}

TEST_F(Segment, without_conditions_is_as_it_was_before_there_were_any) {
  commit_segment(store_, small_record());
  EXPECT_EQ(bytes().find("sm_clock"), std::string::npos);
  EXPECT_TRUE(read_segment(only()).at(0).samples.at(0).condition.empty());
}

TEST_F(Segment, a_sample_with_a_hole_takes_its_condition_along) {
  RunRecord record = small_record();
  record.samples[0].value[0] = std::nan("");
  record.samples[0].condition = {{1, 2, 3}, {4, 5, 6}};
  commit_segment(store_, record);
  EXPECT_EQ(read_segment(only()).at(0).samples.at(0).condition, (std::vector<SampleCondition>{{4, 5, 6}}));
}

TEST_F(Segment, conditions_of_another_number_are_refused) {
  RunRecord record = small_record();
  record.samples[0].condition = {{1755, 4, 612.5}};
  EXPECT_THROW(commit_segment(store_, record), StoreError);
  EXPECT_TRUE(segments_of(store_).empty());
  record.samples[0].condition.push_back({});
  commit_segment(store_, record);
  std::string text = bytes();
  text.resize(text.size() - 32);  // the seal, which would not fit any more
  const auto at = text.find(R"("power_w":[612.5,null])");
  ASSERT_NE(at, std::string::npos) << text;
  std::ofstream(only(), std::ios::trunc) << text.replace(at, 22, R"("power_w":[612.5])");
  try {
    read_segment(only());
    FAIL() << "was read";
  } catch (const StoreError& e) {
    EXPECT_NE(std::string(e.what()).find("2 values, 1 of power_w"), std::string::npos) << e.what();
  }
}

TEST_F(Segment, any_flipped_bit_and_any_missing_end_is_found) {
  commit_segment(store_, small_record());
  const std::string whole = bytes(), content = test::describe(read_segment(only()));
  const fs::path path = only();
  const auto expect_refused = [&](const std::string& damaged, std::size_t at) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
    try {
      // What is behind the text is only the seal's: without it the text stands for itself.
      EXPECT_EQ(test::describe(read_segment(path)), content) << "byte " << at;
      EXPECT_GE(at + 34, whole.size()) << "byte " << at;
    } catch (const StoreError& e) {
      EXPECT_NE(std::string(e.what()).find(path.string()), std::string::npos) << e.what();
    }
  };
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    expect_refused(flipped, at);
    expect_refused(whole.substr(0, at), at);
  }
}

TEST_F(Segment, of_another_version_or_kind_is_refused) {
  commit_segment(store_, small_record());
  for (const std::string text : {R"({"format":"hydrajob-runs","version":2,"runs":[]})", R"({"runs":[]})",
                                 "[]", "7", R"({"format":"hydrajob-runs","version":1,"runs":[{}]})"}) {
    write_sealed(only(), {text.begin(), text.end()});
    EXPECT_THROW(read_segment(only()), StoreError) << text;
  }
}

}  // namespace
}  // namespace hydrajob
