#include "completions/output.hpp"

#include <fstream>
#include <ostream>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/json_text.hpp"
#include "store/completions_file.hpp"

namespace hydrajob {
namespace {

using Json = nlohmann::ordered_json;
using Completions = std::function<Completion(std::int64_t number)>;

// prompt index, index among its completions, number
using Visit = std::function<void(std::size_t prompt, std::int64_t index, std::int64_t number)>;

void for_each_completion(const std::vector<Request>& prompts, const Visit& visit) {
  std::int64_t number = 0;
  for (std::size_t prompt = 0; prompt < prompts.size(); ++prompt) {
    for (std::int64_t index = 0; index < prompts[prompt].n; ++index) visit(prompt, index, number++);
  }
}

void write_jsonl(const std::filesystem::path& path, const OutputRequest& request,
                 const std::vector<Request>& prompts, const Completions& completion) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  for_each_completion(prompts, [&](std::size_t prompt, std::int64_t index, std::int64_t number) {
    const Completion found = completion(number);
    Json line;
    if (!prompts[prompt].id.empty()) line["id"] = Json::parse(prompts[prompt].id);
    line["prompt_index"] = prompt;
    line["index"] = index;
    if (request.with_text) line["text"] = found.text;
    if (request.with_tokens) line["tokens"] = found.tokens;
    line["finish_reason"] = to_string(found.reason);
    line["prompt_tokens"] = prompts[prompt].tokens.size();
    line["new_tokens"] = found.tokens.size();
    line["job"] = request.job;
    out << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  });
  out.close();
  if (!out) throw StoreError(path.string() + ": cannot be written");
}

// A text id without its quotes.
std::string plain_id(const std::string& id) {
  if (id.empty()) return id;
  const Json value = Json::parse(id);
  return value.is_string() ? value.get<std::string>() : id;
}

void write_hdf5(const std::filesystem::path& path, const OutputRequest& request,
                const std::vector<Request>& prompts, const Completions& completion) {
  CompletionColumns columns;
  for_each_completion(prompts, [&](std::size_t prompt, std::int64_t index, std::int64_t number) {
    Completion found = completion(number);
    columns.prompt_index.push_back(static_cast<std::int64_t>(prompt));
    columns.index.push_back(index);
    columns.id.push_back(plain_id(prompts[prompt].id));
    columns.finish_reason.push_back(to_string(found.reason));
    columns.text.push_back(std::move(found.text));
    columns.tokens.insert(columns.tokens.end(), found.tokens.begin(), found.tokens.end());
    columns.token_begin.push_back(static_cast<std::int64_t>(columns.tokens.size()));
  });
  write_completions_file(path, columns, request.job);
}

// That the first line of a JSONL file names; empty where it names none.
std::string job_of_jsonl(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string line;
  std::getline(in, line);
  const Json first = Json::parse(line, nullptr, false);
  return first.is_object() && first.contains("job") && first["job"].is_string()
             ? first["job"].get<std::string>()
             : std::string();
}

}  // namespace

OutputFormat output_format(const std::filesystem::path& output) {
  if (const std::string kind = other_than_file(output); !kind.empty())
    throw UsageError(fmt::format("-o {}: is {}, expected a file", output.string(), kind));
  const std::string extension = output.extension().string();
  if (extension == ".jsonl") return OutputFormat::jsonl;
  if (extension == ".h5" || extension == ".hdf5") return OutputFormat::hdf5;
  throw UsageError(fmt::format("-o {}: expected a name that ends in .jsonl, .h5 or .hdf5", output.string()));
}

bool holds_job(const std::filesystem::path& output, OutputFormat format, const std::string& job) {
  if (!is_there(output)) return false;
  const std::string found =
      format == OutputFormat::hdf5 ? job_of_completions_file(output) : job_of_jsonl(output);
  if (found == job) return true;
  throw UsageError(fmt::format("-o {}: {}: expected a new name", output.string(),
                               found.empty()
                                   ? "is there already, and not of hydrajob generate"
                                   : "holds completions of another model, other prompts or other options"));
}

void write_output(const OutputRequest& request, const std::vector<Request>& prompts,
                  const Completions& completion) {
  std::filesystem::path temporary = request.path;
  temporary += ".writing";
  try {
    if (request.format == OutputFormat::hdf5) {
      write_hdf5(temporary, request, prompts, completion);
    } else {
      write_jsonl(temporary, request, prompts, completion);
    }
    publish_file(temporary, request.path);
  } catch (...) {
    std::error_code error;
    std::filesystem::remove(temporary, error);  // a disk that is full needs its room
    throw;
  }
}

void print_completion(std::ostream& out, std::size_t prompt_index, std::int64_t index,
                      const Completion& completion, bool with_text) {
  out << fmt::format("=== prompt {}, completion {}: {} tokens, {}\n", prompt_index, index,
                     completion.tokens.size(), to_string(completion.reason));
  if (with_text) {
    out << completion.text << '\n';
  } else {
    out << fmt::format("{}\n", fmt::join(completion.tokens, " "));
  }
}

}  // namespace hydrajob
