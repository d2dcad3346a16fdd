// A file that ends with a digest of all that stands before. Damage is found before HDF5 sees it: HDF5 1.10
// crashes on some damaged files, and reads others with wrong numbers. HDF5 and every reader built on it
// ignore what stands behind the end of their data; a program that changes the file cuts the digest off.
#pragma once

#include <filesystem>
#include <vector>

#include "base/error.hpp"

namespace hydrajob {

// The system could not do it: nothing is known of the file's content.
class StoreIoError : public StoreError {
 public:
  using StoreError::StoreError;
};

// Writes `content` and its digest; overwrites. Not fsynced. Throws StoreIoError with the system's words.
void write_sealed(const std::filesystem::path& path, const std::vector<char>& content);

// The content without its digest. A file without one is taken as it is: another program changed it, or wrote
// it. Throws StoreIoError when it cannot be read, StoreError when the digest is another.
std::vector<char> read_sealed(const std::filesystem::path& path);

// Creates a folder and those above it that are missing, and makes their names last through a loss of power.
// Throws StoreError.
void make_lasting_folder(const std::filesystem::path& folder);

// fsync of a folder: names made or renamed in it last. Throws StoreError.
void sync_folder(const std::filesystem::path& folder);

}  // namespace hydrajob
