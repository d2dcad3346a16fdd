#include "main/command_tokenize.hpp"

#include <cctype>
#include <charconv>
#include <fstream>
#include <iostream>
#include <system_error>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "main/command_arguments.hpp"
#include "tokenizer/tokenizer.hpp"
#include "weights/model_text.hpp"

namespace hydrajob {
namespace {

namespace po = boost::program_options;
using Strings = std::vector<std::string>;
using Around = Tokenizer::Around;

po::options_description described() {
  po::options_description options(
      "hydrajob tokenize TOKENIZER [FILE…] [options]\n"
      "TOKENIZER: an imported model, a tokenizer.model or a tokenizer.json. Without FILE: standard input",
      100, 60);
  auto add = options.add_options();
  add("ids", po::bool_switch(), "print the ids of each line, without the tokens that they stand for");
  add("decode", po::bool_switch(), "print the text of each line of ids");
  add("no-special", po::bool_switch(),
      "put no bos before a line, nor what else the tokenizer puts around it");
  add("help,h", "print this");
  return options;
}

po::variables_map parse(const Strings& arguments, const po::options_description& visible) {
  po::options_description all;
  all.add(visible).add_options()("files", po::value<Strings>());
  po::positional_options_description place;
  place.add("files", -1);
  po::variables_map values;
  try {
    po::store(po::command_line_parser(arguments).options(all).positional(place).style(argument_style).run(),
              values);
  } catch (const po::error& e) {
    throw UsageError(fmt::format("tokenize: {}; hydrajob tokenize --help lists the options", e.what()));
  }
  if (values["ids"].as<bool>() && values["decode"].as<bool>()) {
    throw UsageError("tokenize: --ids and --decode: expected one of them");
  }
  return values;
}

// In one line, however strange it is; a backslash stands for itself.
std::string in_one_line(const std::string& piece) {
  std::string line;
  for (const char c : piece) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') {
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      line += c;
    }
  }
  return line;
}

void print_tokens(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool only_ids) {
  const char* space = "";
  for (const TokenId id : ids) {
    std::cout << space << id;
    if (!only_ids) std::cout << ':' << in_one_line(tokenizer.piece(id));
    space = " ";
  }
  std::cout << '\n';
}

// `place`: the file and the line, in messages.
std::vector<TokenId> parse_ids(const std::string& line, const std::string& place) {
  std::vector<TokenId> ids;
  const char* at = line.data();
  const char* end = at + line.size();
  const auto skip_spaces = [&] {
    while (at != end && std::isspace(static_cast<unsigned char>(*at)) != 0) ++at;
  };
  for (skip_spaces(); at != end; skip_spaces()) {
    const char* begin = at;
    while (at != end && std::isspace(static_cast<unsigned char>(*at)) == 0) ++at;
    TokenId id = 0;
    const auto [stop, error] = std::from_chars(begin, at, id);
    if (error != std::errc() || stop != at) {
      throw UsageError(fmt::format("{}: '{}': expected a token id", place, in_one_line({begin, at})));
    }
    ids.push_back(id);
  }
  return ids;
}

class Command {
 public:
  Command(Tokenizer& tokenizer, const po::variables_map& values)
      : tokenizer_(tokenizer),
        decode_(values["decode"].as<bool>()),
        only_ids_(values["ids"].as<bool>()),
        around_(values["no-special"].as<bool>() ? Around::nothing : Around::special_tokens) {}

  void each_line(std::istream& in, const std::string& name) {
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) print(line, fmt::format("{}:{}", name, number));
    if (in.bad()) throw UsageError(name + ": reading it failed");
  }

 private:
  void print(const std::string& line, const std::string& place) {
    if (!decode_) return print_tokens(tokenizer_, tokenizer_.encode(line, around_), only_ids_);
    const std::vector<TokenId> ids = parse_ids(line, place);
    try {
      std::cout << tokenizer_.decode(ids) << '\n';
    } catch (const UsageError& e) {
      throw UsageError(fmt::format("{}: {}", place, e.what()));
    }
  }

  Tokenizer& tokenizer_;
  bool decode_, only_ids_;
  Around around_;
};

std::ifstream open(const std::string& name) {
  std::error_code ignored;
  if (std::filesystem::is_directory(name, ignored)) throw UsageError(name + ": is a folder, expected a file");
  std::ifstream in(name, std::ios::binary);
  if (!in)
    throw UsageError(fmt::format("{}: cannot be read: {}", name, std::system_category().message(errno)));
  return in;
}

// A folder is a model that was split.
bool is_model(const std::string& name) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(name, ignored)) return begins_as_hdf5(name);
  if (std::filesystem::exists(std::filesystem::path(name) / "rank0.h5", ignored)) return true;
  throw UsageError(name + ": is a folder, expected a file: its tokenizer.json or tokenizer.model");
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& name) {
  if (is_model(name)) {
    const auto file = read_model_text(name).tokenizer;
    if (!file) throw UsageError(name + ": has no tokenizer");
    return make_tokenizer(file->kind, file->bytes, name + "/tokenizer");
  }
  const std::string bytes = read_file(name);
  return make_tokenizer(kind_of_tokenizer(bytes, name), bytes, name);
}

}  // namespace

ExitCode run_tokenize(const Strings& arguments) {
  const po::options_description visible = described();
  const po::variables_map values = parse(arguments, visible);
  if (printed_help(values, visible)) return ExitCode::ok;
  const Strings names = values.count("files") > 0 ? values["files"].as<Strings>() : Strings();
  if (names.empty())
    throw UsageError("tokenize: which TOKENIZER? A model, a tokenizer.model or a tokenizer.json");
  const auto tokenizer = open_tokenizer(names.front());
  Command command(*tokenizer, values);
  if (names.size() == 1) command.each_line(std::cin, "standard input");
  for (std::size_t i = 1; i < names.size(); ++i) {
    std::ifstream in = open(names[i]);
    command.each_line(in, names[i]);
  }
  flush_output();
  return ExitCode::ok;
}

}  // namespace hydrajob
