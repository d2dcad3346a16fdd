// Completions as columns of one HDF5 file (docs/generate.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace hydrajob {

// One value a completion, but for the tokens: those of completion i are tokens[token_begin[i]] up to
// token_begin[i + 1].
struct CompletionColumns {
  std::vector<std::int64_t> prompt_index;  // of the prompt in the input
  std::vector<std::int64_t> index;         // among the completions of one prompt
  std::vector<std::string> id;             // the prompt's, "" where it has none
  std::vector<std::string> finish_reason;
  std::vector<std::string> text;  // UTF-8
  std::vector<std::int64_t> token_begin = {0};
  std::vector<std::int32_t> tokens;
};

// `job`: digest of what shaped them. Overwrites; not fsynced. Throws StoreError.
void write_completions_file(const std::filesystem::path& path, const CompletionColumns& columns,
                            const std::string& job);

// The `job` of such a file; empty where it is none. Throws StoreError where it cannot be read.
std::string job_of_completions_file(const std::filesystem::path& path);

}  // namespace hydrajob
