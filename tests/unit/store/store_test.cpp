// What a job knows when it opens a store, what it keeps, and what compaction leaves alone when it cannot
// work.
#include "store/store.hpp"

#include <fstream>
#include <limits>
#include <sys/stat.h>
#include <thread>

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "store/journal.hpp"
#include "store/store_file.hpp"
#include "store/verify.hpp"
#include "unit/base/nobody.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/store/file_records.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;
using test::small_record;

const std::string a(32, 'a'), b(32, 'b'), c(32, 'c');

RunRecord failed_record(const std::string& run_id, std::int32_t attempt) {
  RunRecord record = small_record(run_id, attempt);
  record.status = RunStatus::failed;
  record.reason = "on purpose";
  return record;
}

class StoreTest : public ::testing::Test {
 protected:
  // The journal of a job that has ended, however it did.
  void journal(const std::vector<JournalEvent>& events) {
    Journal file(store_folder(path_) / ("journal-" + std::to_string(n_journals_++) + ".log"));
    for (const JournalEvent& event : events) file.append(event);
  }

  ino_t inode() const {
    struct stat status {};
    EXPECT_EQ(::stat(path_.c_str(), &status), 0);
    return status.st_ino;
  }

  test::TemporaryFolder folder_;
  fs::path path_ = folder_.path() / "results" / "x.h5";
  int n_journals_ = 0;
};

TEST_F(StoreTest, an_empty_one_makes_its_folder_and_no_file) {
  Store store(path_);
  EXPECT_TRUE(store.committed().empty());
  store.compact();
  EXPECT_TRUE(fs::is_directory(store_folder(path_)));
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(StoreTest, knows_runs_of_the_file_and_of_segments) {
  write_store_file(folder_.path() / "x.h5", {small_record(a, 2), failed_record(b, 1)});
  path_ = folder_.path() / "x.h5";
  commit_segment(path_, small_record(c, 1));
  commit_segment(path_, small_record(b, 3));
  const Store store(path_);
  ASSERT_EQ(store.committed().size(), 3U);
  EXPECT_EQ(store.committed().at(a).attempt, 2);
  EXPECT_EQ(store.committed().at(b).attempt, 3);
  EXPECT_EQ(store.committed().at(b).status, RunStatus::ok);
  EXPECT_EQ(store.committed().at(c).attempt, 1);
}

TEST_F(StoreTest, counts_starts_without_an_end) {
  fs::create_directories(store_folder(path_));
  journal({{"started", a, 1, ""}, {"started", b, 1, ""}, {"finished", b, 1, "ok"}, {"started", c, 1, ""}});
  journal({{"started", a, 2, ""}, {"abandoned", c, 1, ""}, {"started", c, 2, ""}, {"abandoned", c, 2, ""}});
  const Store store(path_);
  ASSERT_EQ(store.in_flight().size(), 2U);
  EXPECT_EQ(store.in_flight().at(a).attempt, 2);
  EXPECT_EQ(store.in_flight().at(a).crashes, 2);
  EXPECT_EQ(store.in_flight().at(c).attempt, 1);
  EXPECT_EQ(store.in_flight().at(c).crashes, 1);
}

TEST_F(StoreTest, believes_a_segment_before_the_journal) {
  commit_segment(path_, small_record(a, 1));
  journal({{"started", a, 1, ""}});  // killed between commit and journal
  const Store store(path_);
  EXPECT_TRUE(store.in_flight().empty());
  EXPECT_EQ(store.committed().at(a).status, RunStatus::ok);
}

TEST_F(StoreTest, a_failed_run_started_again_is_in_flight) {
  commit_segment(path_, failed_record(a, 1));
  journal({{"started", a, 1, ""}, {"finished", a, 1, "failed"}, {"started", a, 2, ""}});
  const Store store(path_);
  EXPECT_EQ(store.in_flight().at(a).attempt, 2);
  EXPECT_EQ(store.in_flight().at(a).crashes, 1);
}

TEST_F(StoreTest, crashes_are_remembered_until_the_run_is_done) {
  fs::create_directories(store_folder(path_));
  journal({{"started", a, 1, ""}});
  {
    Store store(path_);
    store.started(b, 1, 0);
    commit_segment(path_, small_record(b, 1));
    store.finished(b, 1, RunStatus::ok);
    store.compact();
  }
  {
    Store store(path_);
    ASSERT_EQ(store.in_flight().count(a), 1U);
    EXPECT_EQ(store.in_flight().at(a).crashes, 1);
    store.started(a, 2, 0);
    commit_segment(path_, small_record(a, 2));
    store.finished(a, 2, RunStatus::ok);
    store.compact();
  }
  EXPECT_EQ(journals_in(store_folder(path_)).size(), 1U) << "old journals stay behind";
  const Store store(path_);
  EXPECT_TRUE(store.in_flight().empty());
}

TEST_F(StoreTest, compaction_keeps_the_best_attempt_and_removes_segments) {
  commit_segment(path_, small_record(a, 1));
  commit_segment(path_, failed_record(a, 2));
  commit_segment(path_, failed_record(b, 1));
  commit_segment(path_, failed_record(b, 2));
  Store(path_).compact();
  EXPECT_TRUE(segments_of(path_).empty());
  const auto records = read_store_file(path_);
  ASSERT_EQ(records.size(), 2U);
  for (const RunRecord& record : records) EXPECT_EQ(record.attempt, record.run_id == a ? 1 : 2);
  EXPECT_TRUE(verify_store(path_).empty());
}

TEST_F(StoreTest, compaction_of_nothing_leaves_the_file_alone) {
  commit_segment(path_, small_record(a, 1));
  Store(path_).compact();
  const ino_t before = inode();
  Store(path_).compact();
  EXPECT_EQ(inode(), before);
}

TEST_F(StoreTest, a_damaged_segment_is_moved_aside_and_the_others_are_kept) {
  commit_segment(path_, small_record(a, 1));
  commit_segment(path_, small_record(b, 1));
  const fs::path damaged = segment_folder(path_) / (a + "-1.json");
  ASSERT_TRUE(fs::exists(damaged));
  fs::resize_file(damaged, fs::file_size(damaged) - 100);
  Store store(path_);
  EXPECT_EQ(store.committed().count(a), 0U);
  store.compact();
  EXPECT_EQ(read_store_file(path_).size(), 1U);
  EXPECT_TRUE(fs::exists(store_folder(path_) / "damaged" / damaged.filename()));
}

TEST_F(StoreTest, a_damaged_file_is_refused_and_nothing_is_touched) {
  commit_segment(path_, small_record(a, 1));
  Store(path_).compact();
  commit_segment(path_, small_record(b, 1));
  fs::resize_file(path_, fs::file_size(path_) - 100);
  const auto size = fs::file_size(path_);
  EXPECT_THROW(Store{path_}, StoreError);
  EXPECT_EQ(fs::file_size(path_), size);
  EXPECT_EQ(segments_of(path_).size(), 1U);
  EXPECT_FALSE(fs::exists(store_folder(path_) / "lease")) << "the next job would wait for this one";
}

TEST_F(StoreTest, what_is_refused_gets_no_folder_and_no_journal) {
  const auto refused = [&](const std::string& why) {
    try {
      const Store store(path_);
      ADD_FAILURE() << "accepted: " << why;
    } catch (const StoreError& e) {
      EXPECT_EQ(std::string(e.what()).substr(0, path_.string().size() + 2 + why.size()),
                path_.string() + ": " + why);
    }
  };
  path_ = folder_.path() / "x.h5";
  std::ofstream(path_) << "no store";
  refused("not a readable HDF5 file");
  EXPECT_FALSE(fs::exists(store_folder(path_)));

  fs::create_directories(segment_folder(path_));
  refused("not a readable HDF5 file");
  EXPECT_TRUE(journals_in(store_folder(path_)).empty());
  fs::remove_all(store_folder(path_));

  test::forbid(path_);
  {
    const test::Nobody nobody;
    refused("cannot be read: Permission denied");
  }
  fs::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  refused("is a pipe, expected a file");
  EXPECT_FALSE(fs::exists(store_folder(path_)));
}

TEST_F(StoreTest, a_job_that_lost_its_lease_replaces_nothing) {
  commit_segment(path_, small_record(a, 1));
  Store(path_).compact();
  const ino_t before = inode();
  Store store(path_);
  commit_segment(path_, small_record(b, 1));
  std::ofstream(store_folder(path_) / "lease") << "elsewhere 1 1\n";
  try {
    store.compact();
    FAIL() << "replaced the other's file";
  } catch (const StoreError& e) {
    EXPECT_NE(std::string(e.what()).find("taken"), std::string::npos) << e.what();
  }
  EXPECT_EQ(inode(), before);
  EXPECT_EQ(segments_of(path_).size(), 1U);
  for (const auto& entry : fs::directory_iterator(path_.parent_path()))
    EXPECT_EQ(entry.path().string().find(".tmp."), std::string::npos) << entry.path();
}

TEST_F(StoreTest, a_committed_run_that_is_nowhere_stops_compaction) {
  Store store(path_);
  commit_segment(path_, small_record(a, 1));
  store.finished(a, 1, RunStatus::ok);
  store.compact();
  const ino_t before = inode();
  commit_segment(path_, small_record(b, 1));
  store.finished(b, 1, RunStatus::ok);
  commit_segment(path_, small_record(c, 1));
  store.finished(c, 1, RunStatus::ok);
  fs::remove(segment_folder(path_) / (b + "-1.json"));
  try {
    store.compact();
    FAIL() << "a run was left out, and nobody told";
  } catch (const StoreError& e) {
    EXPECT_NE(std::string(e.what()).find(b), std::string::npos) << e.what();
  }
  EXPECT_EQ(inode(), before);
  EXPECT_EQ(segments_of(path_).size(), 1U);
}

TEST_F(StoreTest, a_segment_that_is_seen_late_is_waited_for) {
  Store store(path_);
  commit_segment(path_, small_record(a, 1));
  store.finished(a, 1, RunStatus::ok);
  const fs::path segment = segment_folder(path_) / (a + "-1.json"), aside = folder_.path() / "aside";
  fs::rename(segment, aside);
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    fs::rename(aside, segment);
  });
  EXPECT_NO_THROW(store.compact());
  other.join();
  EXPECT_EQ(read_store_file(path_).size(), 1U);
}

// Another rank committed it, and rank 0 builds the file before it hears so.
TEST_F(StoreTest, a_run_may_be_compacted_before_it_is_noted) {
  Store store(path_);
  const RunRecord first = small_record(std::string(32, 'a'), 1),
                  second = small_record(std::string(32, 'b'), 1);
  commit_segment(path_, first);
  store.compact();
  store.finished(first.run_id, 1, RunStatus::ok);
  commit_segment(path_, second);
  store.finished(second.run_id, 1, RunStatus::ok);
  EXPECT_NO_THROW(store.compact());
  EXPECT_EQ(read_store_file(path_).size(), 2U);
}

TEST_F(StoreTest, checkpoints_are_for_many_runs) {
  Store store(path_);
  for (int i = 0; i < 500; ++i) {
    store.checkpoint();
    ASSERT_FALSE(fs::exists(path_)) << i;
    const RunRecord record = small_record(std::string(29, 'a') + std::to_string(100 + i), 1);
    commit_segment(path_, record);
    store.finished(record.run_id, 1, RunStatus::ok);
  }
  store.checkpoint();
  EXPECT_EQ(read_store_file(path_).size(), 500U);
  EXPECT_TRUE(segments_of(path_).empty());
}

TEST_F(StoreTest, two_jobs_do_not_write_at_once) {
  const Store store(path_);
  EXPECT_THROW(Store{path_}, StoreError);
}

TEST_F(StoreTest, a_result_with_a_hole_is_kept_as_failed) {
  RunRecord record = small_record(a, 1);
  record.samples.at(0).value.at(0) = std::numeric_limits<double>::quiet_NaN();
  const std::size_t n = record.samples[0].value.size();
  commit_segment(path_, record);
  const auto records = read_store(path_);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].status, RunStatus::failed);
  EXPECT_NE(records[0].reason.find("not a finite number"), std::string::npos) << records[0].reason;
  EXPECT_EQ(records[0].samples.at(0).value.size(), n - 1);
}

TEST_F(StoreTest, a_failed_run_with_a_hole_keeps_its_own_reason) {
  RunRecord record = failed_record(a, 1);
  record.metrics["x"] = {std::numeric_limits<double>::infinity(), "s", "x"};
  commit_segment(path_, record);
  EXPECT_EQ(read_store(path_).at(0).reason, "on purpose");
  EXPECT_EQ(read_store(path_).at(0).metrics.count("x"), 0U);
}

TEST_F(StoreTest, a_record_that_would_not_read_back_is_not_written) {
  RunRecord record = small_record(a, 1);
  record.samples.at(0).rank.pop_back();
  EXPECT_THROW(commit_segment(path_, record), StoreError);
  EXPECT_TRUE(segments_of(path_).empty());
}

TEST_F(StoreTest, a_folder_that_cannot_be_made_is_named) {
  std::ofstream(folder_.path() / "file") << "x";
  try {
    const Store store(folder_.path() / "file" / "x.h5");
    FAIL() << "opened";
  } catch (const StoreError& e) {
    EXPECT_NE(std::string(e.what()).find((folder_.path() / "file").string()), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace hydrajob
