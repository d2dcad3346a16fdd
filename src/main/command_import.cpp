#include "main/command_import.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <filesystem>
#include <system_error>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "base/dtype.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/units.hpp"
#include "main/command_arguments.hpp"
#include "main/transfer_progress.hpp"
#include "sched/progress.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {
namespace {

namespace po = boost::program_options;

po::options_description described() {
  po::options_description options("hydrajob import DIR -o MODEL.h5 [options]", 100, 60);
  auto add = options.add_options();
  add("output,o", po::value<std::string>()->value_name("MODEL.h5"),
      "the model file; replaced if it is there");
  add("dtype", po::value<std::string>(), "bf16 or f32; otherwise the one that holds the values exactly");
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

// Without what a trailing slash or "." leaves open.
std::string name_of_folder(const std::filesystem::path& folder) {
  const std::filesystem::path whole = std::filesystem::absolute(folder).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
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

  const auto tokenizer = checkpoint.source->text().tokenizer;
  if (!tokenizer) {
    log::info(fmt::format(
        "{}: neither tokenizer.model nor tokenizer.json: the model file will take and give token ids only",
        folder.string()));
  }

  const auto begin = std::chrono::steady_clock::now();
  {
    TransferProgress progress(output.string(), progress_style());
    WriteOptions options;
    options.identity = checkpoint.identity;
    options.progress = [&](std::uint64_t done, std::uint64_t total) { progress.show(done, total); };
    write_model_file(output, *checkpoint.source, dtype, options);
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  std::error_code ignored;
  const auto bytes = static_cast<double>(std::filesystem::file_size(output, ignored));
  log::info(fmt::format("{}: {} {} from {}, {}, {} in {}", output.string(), name, name_of(dtype),
                        folder.string(), tokenizer ? "tokenizer " + tokenizer->kind : "no tokenizer",
                        format_bytes(bytes), format_seconds(taken.count())));
  return ExitCode::ok;
}

}  // namespace hydrajob
