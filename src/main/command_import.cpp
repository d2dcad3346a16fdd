#include "main/command_import.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <filesystem>
#include <string>
#include <system_error>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "base/dtype.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/units.hpp"
#include "grid/constraints.hpp"
#include "main/command_arguments.hpp"
#include "main/transfer_progress.hpp"
#include "sched/progress.hpp"
#include "tokenizer/tokenizer.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {
namespace {

namespace po = boost::program_options;

po::options_description described() {
  po::options_description options("hydrajob import DIR -o MODEL.h5 [options]", 100, 60);
  auto add = options.add_options();
  add("output,o", po::value<std::string>()->value_name("MODEL.h5"),
      "the model file; a model that is there is replaced. With --split a new folder");
  add("split", po::value<int>()->value_name("N"),
      "one file for each of N ranks, which only runs of tensor_parallel N read");
  add("dtype", po::value<std::string>(), "bf16, f16 or f32; otherwise the one that holds the values exactly");
  add("name", po::value<std::string>(),
      "of the architecture, in results and messages; otherwise the folder's");
  add("help,h", "print this");
  return options;
}

// Results and messages hold it in one line.
std::string checked_name(const std::string& name) {
  const bool in_one_line =
      std::none_of(name.begin(), name.end(), [](unsigned char c) { return std::iscntrl(c) != 0; });
  if (name.empty() || !in_one_line)
    throw UsageError("import: --name: expected a name without control characters");
  return name;
}

// 0: one file.
int checked_split(const po::variables_map& values, const Architecture& a) {
  if (values.count("split") == 0) return 0;
  const int degree = values["split"].as<int>();
  if (degree < 1) throw UsageError(fmt::format("import: --split {}: expected 1 or more", degree));
  const std::string problem = heads_split_problem(a.n_heads, a.n_kv_heads, a.intermediate, degree);
  if (!problem.empty()) throw UsageError(fmt::format("import: --split {}: {}", degree, problem));
  return degree;
}

double bytes_in(const std::filesystem::path& path) {
  std::error_code none;
  if (std::filesystem::is_regular_file(path, none))
    return static_cast<double>(std::filesystem::file_size(path, none));
  double bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path, none))
    bytes += static_cast<double>(entry.file_size(none));
  return bytes;
}

// Without what a trailing slash or "." leaves open.
std::string name_of_folder(const std::filesystem::path& folder) {
  const std::filesystem::path whole = std::filesystem::absolute(folder).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

// Returns how long it took, in seconds.
double write_with_progress(const std::filesystem::path& output, const Checkpoint& checkpoint, DType dtype,
                           int split) {
  TransferProgress progress(output.string(), progress_style());
  WriteOptions options;
  options.identity = checkpoint.identity;
  options.split = split;
  options.progress = [&](std::uint64_t done, std::uint64_t total) { progress.show(done, total); };
  const auto begin = std::chrono::steady_clock::now();
  write_model_file(output, *checkpoint.source, dtype, options);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// It is kept as it is, whatever this program can make of it.
void check_tokenizer(const TokenizerFile& file, std::int64_t vocab, const std::filesystem::path& folder) {
  try {
    const auto tokenizer = make_tokenizer(file.kind, file.bytes, folder.string() + ": tokenizer");
    if (tokenizer->vocabulary_size() <= vocab) return;
    log::warning(fmt::format("{}: the tokenizer has ids up to {}, the model's vocabulary ends at {}",
                             folder.string(), tokenizer->vocabulary_size() - 1, vocab - 1));
  } catch (const UsageError& e) {
    log::warning(fmt::format("{}; the model file will take and give token ids only", e.what()));
  }
}

// Of the tokenizer, for the last line. A model without one is of use, but not to those who have text.
std::string say_tokenizer(const Checkpoint& checkpoint, const std::filesystem::path& folder) {
  const auto tokenizer = checkpoint.source->text().tokenizer;
  if (tokenizer) {
    check_tokenizer(*tokenizer, checkpoint.source->architecture().vocab, folder);
    return "tokenizer " + tokenizer->kind;
  }
  log::info(fmt::format(
      "{}: neither tokenizer.model nor tokenizer.json: the model file will take and give token ids only",
      folder.string()));
  return "no tokenizer";
}

}  // namespace

ExitCode run_import(const std::vector<std::string>& arguments) {
  const po::options_description visible = described();
  const po::variables_map values = parse_arguments("import", arguments, visible, "folder");
  if (printed_help(values, visible)) return ExitCode::ok;
  if (values.count("folder") == 0 || values["folder"].as<std::string>().empty())
    throw UsageError("import: which DIR? One with config.json and model.safetensors");
  const std::filesystem::path output = output_of("import", values);
  const std::filesystem::path folder = values["folder"].as<std::string>();
  const std::string name =
      checked_name(values.count("name") > 0 ? values["name"].as<std::string>() : name_of_folder(folder));
  const Checkpoint checkpoint = open_hugging_face(folder, name);
  const DType dtype =
      values.count("dtype") > 0 ? parse_dtype(values["dtype"].as<std::string>()) : checkpoint.dtype;
  const int split = checked_split(values, checkpoint.source->architecture());

  const std::string tokenizer = say_tokenizer(checkpoint, folder);
  const double seconds = write_with_progress(output, checkpoint, dtype, split);
  log::info(fmt::format("{}: {} {} from {}, {}, {} in {}", output.string(), name, name_of(dtype),
                        folder.string(), tokenizer, format_bytes(bytes_in(output)), format_seconds(seconds)));
  return ExitCode::ok;
}

}  // namespace hydrajob
