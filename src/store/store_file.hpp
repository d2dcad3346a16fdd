// The HDF5 file of a store (docs/store.md). Written once, never changed in place.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "store/run_record.hpp"

namespace hydrajob {

// A new file with these runs as its rows, in order, and a digest at its end (store/sealed_file.hpp). Not
// fsynced, not renamed: the caller's part. Overwrites.
// Throws StoreError with the path and HDF5's own words.
void write_store_file(const std::filesystem::path& path, const std::vector<RunRecord>& records);

// Every run of a file. Throws StoreError when it is not HDF5, no store, of another schema version, damaged,
// truncated, or its columns disagree: which dataset, what was found, what was expected.
std::vector<RunRecord> read_store_file(const std::filesystem::path& path);

// Only run_id, attempt and status of every run: what resuming needs, without the samples.
struct RunHead {
  std::string run_id;
  std::int32_t attempt = 1;
  RunStatus status = RunStatus::ok;
};
std::vector<RunHead> read_run_heads(const std::filesystem::path& path);

// The runs of a store as a reader sees them: its file, if there, and the segments not yet in it, one record a
// run (the preferred attempt). Throws StoreError when there is neither.
std::vector<RunRecord> read_store(const std::filesystem::path& store);

// Adds `fresh` behind `records`, in the order in which the runs were started.
void append_by_start(std::vector<RunRecord>& records, std::vector<RunRecord> fresh);

// One record a run: ok beats every other status, then the later attempt. Order of first appearance.
std::vector<RunRecord> preferred_attempts(std::vector<RunRecord> records);

}  // namespace hydrajob
