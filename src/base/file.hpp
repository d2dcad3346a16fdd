// Files that are there whole or not at all.
#pragma once

#include <filesystem>
#include <string>

namespace hydrajob {

// Throws UsageError when it cannot be read.
std::string read_file(const std::filesystem::path& path);

// What stands at `path` where that is no regular file: "a folder", "a device", "a pipe", "a socket". Empty
// for a file, where nothing is, and where that cannot be told. To open a pipe would wait for its other end,
// and to rename over a device would replace it.
std::string other_than_file(const std::filesystem::path& path);

// Whether a regular file begins as HDF5's do. Nothing is read of anything else: a pipe gives its bytes once,
// and a terminal waits for a person.
bool begins_as_hdf5(const std::filesystem::path& path);

// Whether something stands there. Throws StoreError with the system's reason where that cannot be told.
bool is_there(const std::filesystem::path& path);

// Writes out what std::cout and stdio hold of standard output. Throws StoreError where not all of it could be
// written, to a full disk say.
void flush_output();

// fsync of a closed file, then rename, then fsync of the folder: after it returns, `target` is the whole new
// file even if the machine loses power. Throws StoreError.
void publish_file(const std::filesystem::path& temporary, const std::filesystem::path& target);
// The same, but never in place of a file that is there: throws StoreError then. `temporary` is gone either
// way.
void publish_new_file(const std::filesystem::path& temporary, const std::filesystem::path& target);

}  // namespace hydrajob
