#include "store/survivors.hpp"

#include <sstream>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include "store/export.hpp"
#include "store/store_file.hpp"
#include "store/verify.hpp"

namespace hydrajob::test {
namespace {

// Every field, all digits.
std::string text_of(const RunRecord& record) {
  std::ostringstream out;
  export_jsonl(out, {record}, true);
  for (const auto& [name, metric] : record.metrics) out << name << metric.unit << metric.long_name << '\n';
  out << record.config_text << record.environment;
  return out.str();
}

int number_of(const RunRecord& record) {
  return static_cast<int>(std::get<std::int64_t>(record.parameters.at("number")));
}

void expect_opens_in_hdf5(const std::filesystem::path& path) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  ASSERT_GE(file, 0) << path;
  const hid_t ids = H5Dopen2(file, "/runs/run_id", H5P_DEFAULT);
  EXPECT_GE(ids, 0) << path;
  H5Dclose(ids);
  EXPECT_GE(H5Fclose(file), 0) << path;
}

// Names of the files in a folder, a line each.
std::string files_in(const std::filesystem::path& folder) {
  std::string names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) names += entry.path().filename().string() + '\n';
  }
  return names;
}

}  // namespace

void Survivors::note(const Promise& promise) {
  switch (promise.kind) {
    case Promise::Kind::started:
      open_[promise.number] = promise.attempt;
      break;
    case Promise::Kind::committed:
      committed_[promise.number] = promise.attempt;
      open_.erase(promise.number);
      break;
    case Promise::Kind::abandoned:
      open_.erase(promise.number);
      break;
  }
}

void Survivors::expect_kept() const {
  const auto segments = segments_of(store_);
  const bool whole = std::filesystem::exists(store_);
  if (!whole && segments.empty()) {
    EXPECT_TRUE(committed_.empty()) << committed_.size() << " runs are lost with their store";
    return;
  }
  const auto problems = verify_store(store_);
  EXPECT_TRUE(problems.empty()) << fmt::format("{}", fmt::join(problems, "\n"));
  std::map<int, std::int32_t> found;
  for (const RunRecord& record : read_store(store_)) {
    found[number_of(record)] = record.attempt;
    EXPECT_EQ(text_of(record), text_of(make_record(number_of(record), record.attempt)));
  }
  for (const auto& [number, attempt] : committed_) {
    EXPECT_GE(found[number], attempt) << "run " << number << ", " << run_id(number);
  }
  if (whole) expect_opens_in_hdf5(store_);
}

void Survivors::expect_resumable() const {
  const Store store(store_);
  for (const auto& [number, attempt] : committed_) {
    const auto found = store.committed().find(run_id(number));
    ASSERT_NE(found, store.committed().end()) << "run " << number;
    EXPECT_GE(found->second.attempt, attempt) << "run " << number;
  }
  for (const auto& [number, attempt] : open_) {
    const auto committed = store.committed().find(run_id(number));
    if (committed != store.committed().end() && committed->second.attempt >= attempt) continue;
    const auto found = store.in_flight().find(run_id(number));
    ASSERT_NE(found, store.in_flight().end()) << "run " << number << " was started, and no journal knows";
    EXPECT_GE(found->second.attempt, attempt);  // a later start may have been told to the journal alone
    EXPECT_GE(found->second.crashes, 1);
  }
}

void Survivors::expect_tidy() const {
  EXPECT_EQ(files_in(store_.parent_path()), store_.filename().string() + '\n');
  EXPECT_EQ(files_in(segment_folder(store_)), "");
  const std::string journal = files_in(store_folder(store_));
  EXPECT_TRUE(journal.starts_with("journal-") && journal.find('\n') == journal.size() - 1) << journal;
}

}  // namespace hydrajob::test
