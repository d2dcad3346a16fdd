// What becomes of completions: text for a person, or a file that is there whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "completions/completion.hpp"
#include "completions/request.hpp"

namespace hydrajob {

enum class OutputFormat { jsonl, hdf5 };

// By the end of its name. Throws UsageError for another, and for what is no place for a file.
OutputFormat output_format(const std::filesystem::path& output);

// True where `output` holds this job's completions already. Throws UsageError where it holds anything else.
bool holds_job(const std::filesystem::path& output, OutputFormat format, const std::string& job);

struct OutputRequest {
  std::filesystem::path path;
  OutputFormat format = OutputFormat::jsonl;
  std::string job;           // digest of what shaped the completions
  bool with_tokens = false;  // JSONL: token ids too; the only thing there is where `with_text` is not
  bool with_text = true;
};

// In the order of the input. `completion`: by number. Throws StoreError.
void write_output(const OutputRequest& request, const std::vector<Request>& prompts,
                  const std::function<Completion(std::int64_t number)>& completion);

// A heading and the text; token ids where there is no text.
void print_completion(std::ostream& out, std::size_t prompt_index, std::int64_t index,
                      const Completion& completion, bool with_text);

}  // namespace hydrajob
