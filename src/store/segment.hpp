// A finished run, or several, on their way into the store's one file: a small file of JSON, which takes a
// tenth of the time of an HDF5 file of a hundred columns to write and to read. docs/store.md describes it.
#pragma once

#include <filesystem>
#include <vector>

#include "store/run_record.hpp"

namespace hydrajob {

// Writes the runs as one segment: temporary name, close, fsync, rename, fsync of the folder. When it returns
// they are kept, whatever happens to this process. A record whose samples or metrics are not finite is kept
// as failed, with the reason and what is finite of it. Any process, any thread, with or without a Store.
// Throws StoreError.
void commit_segment(const std::filesystem::path& store, const std::vector<RunRecord>& records);
inline void commit_segment(const std::filesystem::path& store, const RunRecord& record) {
  commit_segment(store, std::vector<RunRecord>{record});
}

// Throws StoreIoError when it cannot be read, StoreError when it is damaged or no segment.
std::vector<RunRecord> read_segment(const std::filesystem::path& path);

// Where a store's files are.
std::filesystem::path store_folder(const std::filesystem::path& store);    // STORE.d
std::filesystem::path segment_folder(const std::filesystem::path& store);  // STORE.d/segments
// Segments, sorted by name; temporary files left out.
std::vector<std::filesystem::path> segments_of(const std::filesystem::path& store);

}  // namespace hydrajob
