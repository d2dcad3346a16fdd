#include "store/completions_file.hpp"

#include <algorithm>

#include <hdf5.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "store/hdf5_handle.hpp"
#include "store/table.hpp"

namespace hydrajob {
namespace {

using hdf5::Handle;

constexpr const char* format_name = "hydrajob-completions";
constexpr std::int64_t schema_version = 1;
constexpr hsize_t chunk_elements = 64 * 1024;
constexpr int deflate_level = 4;

// Locks are refused by some file systems of clusters, and a file that is published by rename needs none.
Handle without_locks() {
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_file_locking(access, false, true);
  return access;
}

[[noreturn]] void fail(const std::string& where, const char* name) {
  throw StoreError(where + ": " + name + ": cannot be written: " + hdf5::hdf5_error());
}

void describe(hid_t dataset, const char* long_name) {
  write_text_attribute(dataset, "units", "1");
  write_text_attribute(dataset, "long_name", long_name);
}

// Of any length each: padded to the longest they would take many times their size.
void write_texts(hid_t file, const char* name, const char* long_name, const std::vector<std::string>& texts,
                 const std::string& where) {
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  // HDF5 ends a text at its first zero byte.
  std::vector<std::string> clean = texts;
  for (std::string& text : clean) std::replace(text.begin(), text.end(), '\0', '?');
  std::vector<const char*> pointers;
  for (const std::string& text : clean) pointers.push_back(text.c_str());
  const hsize_t n = pointers.size();
  const Handle space(H5Screate_simple(1, &n, nullptr), H5Sclose);
  const Handle dataset(H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
  if (!dataset.valid()) fail(where, name);
  if (n > 0 && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) < 0) fail(where, name);
  describe(dataset, long_name);
}

void write_tokens(hid_t file, const std::vector<std::int32_t>& tokens, const std::string& where) {
  const hsize_t n = tokens.size();
  const Handle space(H5Screate_simple(1, &n, nullptr), H5Sclose);
  const Handle list(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  if (n > 0) {
    const hsize_t chunk = std::min(n, chunk_elements);
    H5Pset_chunk(list, 1, &chunk);
    H5Pset_shuffle(list);
    H5Pset_deflate(list, deflate_level);
  }
  const Handle dataset(H5Dcreate2(file, "tokens", H5T_STD_I32LE, space, H5P_DEFAULT, list, H5P_DEFAULT),
                       H5Dclose);
  if (!dataset.valid()) fail(where, "tokens");
  if (n > 0 && H5Dwrite(dataset, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, tokens.data()) < 0)
    fail(where, "tokens");
  describe(dataset, "token ids of all completions, one behind the other");
}

}  // namespace

void write_completions_file(const std::filesystem::path& path, const CompletionColumns& columns,
                            const std::string& job) {
  hdf5::silence_hdf5();
  const std::string where = path.string();
  Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, without_locks()), H5Fclose);
  if (!file.valid()) throw StoreError(where + ": cannot be created: " + hdf5::hdf5_error());
  write_text_attribute(file, "format", format_name);
  write_int_attribute(file, "schema_version", schema_version);
  write_text_attribute(file, "hydrajob_version", HJ_VERSION);
  write_text_attribute(file, "job", job);
  write_column(file, {"prompt_index", "1", "the prompt's place in the input, from 0", columns.prompt_index},
               where);
  write_column(file, {"index", "1", "among the completions of one prompt, from 0", columns.index}, where);
  write_column(file, {"id", "1", "the prompt's id, empty where it has none", columns.id}, where);
  write_column(file, {"finish_reason", "1", "eos, stop or length", columns.finish_reason}, where);
  write_texts(file, "text", "what was generated behind the prompt", columns.text, where);
  write_column(file,
               {"token_begin", "1", "where each completion's tokens begin; one more: their number",
                columns.token_begin},
               where);
  write_tokens(file, columns.tokens, where);
  if (file.close() < 0) throw StoreError(where + ": cannot be written: " + hdf5::hdf5_error());
}

std::string job_of_completions_file(const std::filesystem::path& path) {
  hdf5::silence_hdf5();
  if (!begins_as_hdf5(path)) return {};
  const Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, without_locks()), H5Fclose);
  if (!file.valid()) throw StoreError(path.string() + ": cannot be read: " + hdf5::hdf5_error());
  return read_text_attribute(file, "format") == format_name ? read_text_attribute(file, "job")
                                                            : std::string();
}

}  // namespace hydrajob
